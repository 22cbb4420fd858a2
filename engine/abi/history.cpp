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

ks_verify_report report_of(const Verification& verification, bool is_in_memory) noexcept {
    ks_verify_report report{};
    report.struct_size = sizeof report;
    report.journals = verification.journals;
    report.records = verification.records;
    report.entries = verification.entries;
    report.checkpoints = verification.checkpoints;
    report.checkpoint_entries = verification.checkpoint_entries;
    for (const Problem& problem : verification.problems)
        ++(problem.cost == Cost::kTail ? report.tails : report.problems);
    report.recovery = recovery_of(verification.recovery, verification.recovery_status);
    report.recovery.is_needed = is_in_memory ? 0 : 1;
    return report;
}

ks_status verify(const char* url, ks_damage_fn fn, void* user, ks_verify_report* report_out) {
    Place place;
    Directory directory;
    if (const ks_status s = parse_durable(url, &place); s != KS_OK) return s;
    if (const ks_status s = open_to_read(place, &directory); s != KS_OK) return s;
    Verification verification;
    std::optional<SegmentPlace> segment;
    Status s = verify_history(directory, &verification);
    if (s == Status::kOk) s = find_segment(directory, &segment);
    if (s != Status::kOk) return answer(s, ("verifying " + place.folder).c_str());
    for (const Problem& problem : verification.problems) {
        const ks_damage damage{problem.path.c_str(), problem.damage.offset, problem.damage.what,
                               static_cast<uint32_t>(problem.cost)};
        if (fn != nullptr) fn(user, &damage);
    }
    if (report_out != nullptr) *report_out = report_of(verification, segment.has_value());
    return verification.is_sound() ? KS_OK : fault(KS_E_JOURNAL_CORRUPT, "%s: its files are damaged", url);
}

ks_repair_report report_of(const RepairPlan& plan) noexcept {
    ks_repair_report report{};
    report.struct_size = sizeof report;
    if (plan.is_unfinished) report.need = KS_REPAIR_UNFINISHED;
    if (plan.is_needed) report.need = KS_REPAIR_NEEDED;
    if (report.need == KS_REPAIR_NOT_NEEDED) return report;
    report.files = plan.aside.size();
    plan.folder.copy(report.folder, sizeof report.folder - 1);
    if (!plan.is_needed) return report;
    report.kept_keys = plan.keys.size();
    report.kept_last_lsn = plan.last;
    report.is_mixed = plan.is_mixed ? 1 : 0;
    report.lost_commits = plan.lost_records;
    report.lost_first_lsn = plan.lost_first;
    report.lost_last_lsn = plan.lost_last;
    report.lost_keys = plan.lost_keys.size();
    report.unreadable_bytes = plan.unreadable_bytes;
    report.unreadable_lsn = plan.known_position;
    return report;
}

void tell_losses(const RepairPlan& plan, ks_damage_fn damage_fn, ks_lost_key_fn lost_fn, void* user) {
    if (damage_fn != nullptr && plan.is_needed) {
        const ks_damage damage{plan.damage.path.c_str(), plan.damage.damage.offset, plan.damage.damage.what,
                               KS_DAMAGE_LOSS};
        damage_fn(user, &damage);
    }
    if (lost_fn == nullptr) return;
    for (const auto& [key, last] : plan.lost_keys) {
        const ks_lost_key lost{{key.data(), key.size()}, last};
        lost_fn(user, &lost);
    }
}

ks_status repair(const char* url, uint32_t flags, ks_damage_fn damage_fn, ks_lost_key_fn lost_fn, void* user,
                 ks_repair_report* report_out) {
    Place place;
    StoreRepair repair;
    if (const ks_status s = parse_durable(url, &place); s != KS_OK) return s;
    const std::string doing = "repairing " + place.folder;
    Status s = plan_store_repair(place.folder, &repair);
    if (s != Status::kOk) return answer(s, doing.c_str());
    const RepairPlan& plan = repair.plan;
    ks_repair_report report = report_of(plan);
    if (plan.is_needed && repair.segment != SegmentSight::kNone && (flags & KS_REPAIR_DROP_SEGMENT) == 0) {
        const bool is_seen = repair.segment == SegmentSight::kSeen;
        return fault(
            KS_E_SEGMENT_LEFT,
            "%s: %s is damaged at offset %llu, but the store's segment %s, %s: a checkpoint of it%s loses "
            "nothing",
            doing.c_str(), plan.damage.path.c_str(),
            static_cast<unsigned long long>(plan.damage.damage.offset),
            is_seen ? "is still in memory" : "may be in memory, on a file system that is not seen from here",
            repair.place->path.c_str(), is_seen ? "" : ", from where it is seen,");
    }
    tell_losses(plan, damage_fn, lost_fn, user);
    if ((flags & KS_REPAIR_DO) != 0 && report.need != KS_REPAIR_NOT_NEEDED) {
        s = do_store_repair(repair);
        if (s != Status::kOk) return answer(s, doing.c_str());
        report.is_done = 1;
    }
    if (report_out != nullptr) *report_out = report;
    return KS_OK;
}

}  // namespace

namespace keystile::engine::abi {

ks_recovery recovery_of(const HistoryEnd& end, Status status) noexcept {
    ks_recovery recovery{};
    recovery.struct_size = sizeof recovery;
    recovery.status = static_cast<ks_status>(status);
    recovery.incarnation = end.incarnation + 1;
    recovery.checkpoint_lsn = end.checkpoint;
    recovery.checkpoint_entries = end.checkpoint_entries;
    recovery.records = end.records;
    recovery.entries = end.entries;
    recovery.last_lsn = end.last;
    recovery.end_file = end.end.file;
    recovery.end_offset = end.end.offset;
    recovery.cut = end.cut.damage.what;
    return recovery;
}

}  // namespace keystile::engine::abi

ks_status ks_verify(const char* url, ks_damage_fn fn, void* user, ks_verify_report* report_out) {
    if (report_out != nullptr && report_out->struct_size != sizeof(ks_verify_report))
        return fault(KS_E_STRUCT_SIZE, "ks_verify_report.struct_size");
    try {
        return verify(url, fn, user, report_out);
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "verifying: out of memory");
    }
}

ks_status ks_repair(const char* url, uint32_t flags, ks_damage_fn damage_fn, ks_lost_key_fn lost_fn,
                    void* user, ks_repair_report* report_out) {
    if ((flags & ~(KS_REPAIR_DO | KS_REPAIR_DROP_SEGMENT)) != 0)
        return fault(KS_E_ARGUMENT, "unknown repair flag %#x", flags);
    if (report_out != nullptr && report_out->struct_size != sizeof(ks_repair_report))
        return fault(KS_E_STRUCT_SIZE, "ks_repair_report.struct_size");
    try {
        return repair(url, flags, damage_fn, lost_fn, user, report_out);
    } catch (const std::bad_alloc&) {
        return fault(KS_E_MEMORY, "repairing: out of memory");
    }
}
