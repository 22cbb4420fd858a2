// The C calls about a durable store's files, open or not: verify, recover, repair.
#include <new>

#include "abi/abi.hpp"
#include "abi/url.hpp"

using namespace keystile::engine;
using namespace keystile::engine::abi;

static_assert(static_cast<std::uint32_t>(Cost::kTail) == KS_DAMAGE_TAIL);
static_assert(static_cast<std::uint32_t>(Cost::kSpare) == KS_DAMAGE_SPARE);
static_assert(static_cast<std::uint32_t>(Cost::kLoss) == KS_DAMAGE_LOSS);

namespace {

ks_status parse_durable(const char* url, Place* place_out) {
    if (url == nullptr) return fault(KS_E_ARGUMENT, "url is NULL");
    if (const ks_status s = parse_url(url, place_out); s != KS_OK) return s;
    return place_out->is_durable ? KS_OK : fault(KS_E_URL, "%s has no files: only file:/DIR has", url);
}

// Only to look.
ks_status open_to_read(const Place& place, Directory* directory_out) {
    DirectoryOptions options;
    options.must_exist = true;
    options.is_read_only = true;
    const Status s = Directory::open(place.folder, options, directory_out);
    return answer(s, ("opening " + place.folder).c_str());
}

ks_verify_report report_to_c(const Verification& verification) noexcept {
    ks_verify_report report{};
    report.struct_size = sizeof report;
    report.journals = verification.journals;
    report.records = verification.records;
    report.entries = verification.entries;
    report.checkpoints = verification.checkpoints;
    report.checkpoint_entries = verification.checkpoint_entries;
    for (const Problem& problem : verification.problems)
        ++(problem.cost == Cost::kTail ? report.tails : report.problems);
    if (verification.recovery.end.position != 0) report.last_lsn = verification.recovery.end.position - 1;
    return report;
}

ks_status verify(const char* url, ks_damage_fn fn, void* user, ks_verify_report* report_out) {
    Place place;
    Directory directory;
    if (const ks_status s = parse_durable(url, &place); s != KS_OK) return s;
    if (const ks_status s = open_to_read(place, &directory); s != KS_OK) return s;
    Verification verification;
    const Status s = verify_history(directory, &verification);
    if (s != Status::kOk) return answer(s, ("verifying " + place.folder).c_str());
    for (const Problem& problem : verification.problems) {
        const ks_damage damage{problem.path.c_str(), problem.damage.offset, problem.damage.what,
                               static_cast<uint32_t>(problem.cost)};
        if (fn != nullptr) fn(user, &damage);
    }
    if (report_out != nullptr) *report_out = report_to_c(verification);
    return verification.is_sound() ? KS_OK : fault(KS_E_JOURNAL_CORRUPT, "%s: its files are damaged", url);
}

}  // namespace

ks_status ks_verify(const char* url, ks_damage_fn fn, void* user, ks_verify_report* report_out) {
    if (report_out != nullptr && report_out->struct_size != sizeof(ks_verify_report))
        return fault(KS_E_STRUCT_SIZE, "ks_verify_report.struct_size");
    try {
        return verify(url, fn, user, report_out);
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "verifying: out of memory");
    }
}
