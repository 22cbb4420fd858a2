// keystile check
#include <vector>

#include <fmt/format.h>

#include "commands.hpp"
#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kCheckExamples =
    R"(Reads the whole store and changes nothing; runs beside writers. Problems, one a line, and
exit code 65 if there are any.

Examples:
  keystile check --store shm:demo
  keystile check --json | jq -r '.problems[]?')";

void collect(void* user, const char* text) {
    static_cast<std::vector<std::string>*>(user)->emplace_back(text);
}

Json report_json(const ks_check_report& report) {
    return Json{{"keys", report.keys},
                {"claimed", report.claimed},
                {"deleted", report.deleted},
                {"blocks_live", report.blocks_live},
                {"blocks_free", report.blocks_free},
                {"blocks_in_flight", report.blocks_in_flight},
                {"blocks_unreaped", report.blocks_unreaped}};
}

void check(const Globals& globals) {
    Store store = Store::inspect(globals.store);
    std::vector<std::string> problems;
    ks_check_report report{};
    report.struct_size = sizeof report;
    const ks_status status = ks_check(store.get(), collect, &problems, &report);
    if (status != KS_OK && problems.empty()) throw fault(status, globals.store);

    Json members{{"store", globals.store}, {"problems", problems}};
    members.update(report_json(report));
    if (status == KS_OK) {
        return print_result(
            globals, members,
            fmt::format("{} is consistent: {} keys ({} claimed, {} deleted), {} blocks live, {} free, {} in "
                        "flight, {} left by the dead",
                        globals.store, report.keys, report.claimed, report.deleted, report.blocks_live,
                        report.blocks_free, report.blocks_in_flight, report.blocks_unreaped));
    }
    members["code"] = ks_status_name(status);
    if (!globals.json) {
        for (const std::string& problem : problems) print_bytes(escaped(problem) + "\n");
        flush_output();
    }
    throw Failure{
        exit_code_of(status),
        fmt::format("{}: {}; stop using this store", globals.store, count_text(problems.size(), "problem")),
        std::move(members)};
}

}  // namespace

void add_check_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command = app.add_subcommand("check", "Read the whole store and judge it");
    command->footer(kCheckExamples);
    command->callback([&globals] { check(globals); });
}

}  // namespace keystile::cli
