#include "support/points.hpp"

#if defined(KEYSTILE_CHECKED)

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "platform/platform.hpp"

namespace keystile::testing {

namespace {

// Names are literals: their addresses mean the same in a forked child.
struct Record {
    static constexpr int kMax = 4096;
    int count;
    const char* name[kMax];
};

Record& shared_record() {
    static auto* const record = static_cast<Record*>(
        ::mmap(nullptr, sizeof(Record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    return *record;
}

std::vector<Step> steps;
std::size_t next_step = 0;
int seen_of_step = 0;
bool is_recording = false;

void on_point(const char* name) {
    if (is_recording) {
        Record& record = shared_record();
        if (record.count < Record::kMax) record.name[record.count++] = name;
    }
    if (next_step >= steps.size() || steps[next_step].point != name) return;
    const Step& step = steps[next_step];
    if (++seen_of_step < step.occurrence) return;
    ++next_step;
    seen_of_step = 0;
    ::kill(::getpid(), step.signal);
    while (step.signal == SIGKILL) {
    }
}

std::vector<std::string> names_in_engine(const char* macro) {
    const std::string use = std::string(macro) + "(\"";
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(KEYSTILE_ENGINE_FOLDER)) {
        const auto kind = entry.path().extension();
        if (kind != ".cpp" && kind != ".hpp") continue;
        std::stringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        const std::string all = text.str();
        for (std::size_t at = all.find(use); at != std::string::npos; at = all.find(use, at)) {
            at += use.size();
            names.insert(all.substr(at, all.find('"', at) - at));
        }
    }
    return {names.begin(), names.end()};
}

}  // namespace

void arm(std::vector<Step> wanted) {
    steps = std::move(wanted);
    next_step = 0;
    seen_of_step = 0;
    checked::on_point = on_point;
}

void disarm() {
    checked::on_point = nullptr;
}

void record() {
    shared_record();
    is_recording = true;
    checked::on_point = on_point;
}

std::vector<std::string> recorded() {
    const Record& record = shared_record();
    return {record.name, record.name + record.count};
}

void forget_record() {
    shared_record().count = 0;
}

void switch_off(std::string_view guard) {
    static std::string name;
    name = guard;
    checked::guard_off = name.empty() ? nullptr : name.c_str();
}

bool is_switched_off(std::string_view guard) {
    return checked::guard_off != nullptr && guard == checked::guard_off;
}

std::vector<std::string> points_of_engine() {
    return names_in_engine("KEYSTILE_CRASH_POINT");
}
std::vector<std::string> guards_of_engine() {
    return names_in_engine("KEYSTILE_GUARD");
}

}  // namespace keystile::testing

#endif
