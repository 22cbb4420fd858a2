// keystile create, keystile destroy
#include <grp.h>

#include <fmt/format.h>

#include "commands.hpp"
#include "quantity.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kCreateExamples =
    R"(A store that exists already is left as it is, and that is success: start a script with it.
With --exclusive it is a conflict (exit code 10). Memory is taken as it is used; sizes given
here are limits.

Examples:
  keystile create --store shm:demo
  keystile create --store shm:demo --expected-keys 1000000 --max-bytes 8G
  keystile create --store shm:team --group build)";

constexpr const char* kDestroyExamples =
    R"(Refused while live processes are attached (exit code 12). With --force their commits and
claims fail from now on.

Examples:
  keystile destroy --store shm:demo
  keystile destroy --store shm:demo --force)";

struct CreateOptions {
    std::optional<uint64_t> expected_keys;
    std::optional<uint64_t> max_bytes;
    std::string group;
    bool is_exclusive = false;
    bool prefault = false;
    bool huge_pages = false;
};

uint32_t group_id(const std::string& name) {
    if (const struct group* const entry = getgrnam(name.c_str())) return entry->gr_gid;
    const std::optional<uint64_t> number = parse_number(name);
    if (number && *number < UINT32_MAX) return static_cast<uint32_t>(*number);
    throw Failure{ExitCode::usage, fmt::format("--group: there is no group {}", name)};
}

void create(const Globals& globals, const CreateOptions& options) {
    ks_open_options open{};
    open.struct_size = sizeof open;
    open.flags = KS_OPEN_MUST_CREATE;
    open.label = "keystile create";
    open.expected_keys = options.expected_keys.value_or(0);
    open.max_bytes = options.max_bytes.value_or(0);
    if (options.prefault) open.flags |= KS_OPEN_PREFAULT;
    if (options.huge_pages) open.flags |= KS_OPEN_HUGE_PAGES;
    if (!options.group.empty()) {
        open.flags |= KS_OPEN_GROUP;
        open.group = group_id(options.group);
    }
    bool is_created = true;
    try {
        Store(globals.store, open);
    } catch (const Failure& failure) {
        if (failure.code != ExitCode::conflict || options.is_exclusive) throw;
        is_created = false;
        Store::attach(globals.store, "create");  // it exists: is it one we can use?
    }
    const Json members{{"store", globals.store}, {"created", is_created}};
    print_result(globals, members,
                 fmt::format("{} {}", is_created ? "created" : "exists already:", globals.store));
}

void destroy(const Globals& globals, bool force) {
    require_url(globals.store);
    const ks_status status = ks_destroy(globals.store.c_str(), force ? KS_DESTROY_FORCE : 0u);
    if (status != KS_OK) {
        Failure failure = fault(status, globals.store);
        const bool can_be_forced = status == KS_E_IN_USE && !globals.store.starts_with("file:");
        if (can_be_forced) failure.message += ", --force does it all the same";
        throw failure;
    }
    print_result(globals, Json{{"store", globals.store}}, fmt::format("destroyed {}", globals.store));
}

}  // namespace

void add_store_commands(CLI::App& app, const Globals& globals) {
    CLI::App* const create_command = app.add_subcommand("create", "Create a store, unless it exists");
    const auto options = std::make_shared<CreateOptions>();
    create_command->add_flag("--exclusive", options->is_exclusive, "Fail if the store exists");
    add_number(create_command, "--expected-keys", options->expected_keys,
               "Sizes the index, at most 2^29; more keys are fine [65536]");
    add_size(create_command, "--max-bytes", options->max_bytes,
             "Limit of the store's size, 32M to 128G [64G]");
    create_command->add_option("--group", options->group, "Mode 0660 for this group instead of 0600")
        ->type_name("GROUP");
    create_command->add_flag("--prefault", options->prefault, "Touch the first memory now");
    create_command->add_flag("--huge-pages", options->huge_pages, "Advise huge pages");
    create_command->footer(kCreateExamples);
    create_command->callback([&globals, options] { create(globals, *options); });

    CLI::App* const destroy_command = app.add_subcommand("destroy", "Remove a store and everything in it");
    const auto force = std::make_shared<bool>(false);
    destroy_command->add_flag("--force", *force, "Also while processes are attached, and if it is damaged");
    destroy_command->footer(kDestroyExamples);
    destroy_command->callback([&globals, force] { destroy(globals, *force); });
}

}  // namespace keystile::cli
