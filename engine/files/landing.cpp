// From the store to the disk: settle() and land(). docs/FILES.md has the argument, RECOVERY.md the rows.
#include <algorithm>

#include "files.hpp"

namespace keystile::engine::files {

using abi::fault;

namespace {

// A path that is written all the time is never seen at rest; whoever looks has lost so often then.
constexpr int kLooksMax = 10'000;

// Take away tickets of older versions: from now on none of them can land (F2).
ks_status retire(ks_files& files, const FilePath& path, std::uint64_t version) {
    if (!KEYSTILE_GUARD("files.retire")) return KS_OK;
    std::vector<Ticket> tickets;
    if (const ks_status s = files.root.list_tickets(&tickets); s != KS_OK) return s;
    for (const Ticket& ticket : tickets) {
        if (ticket.id == path.id && ticket.version < version && !ticket.is_removed) files.root.remove(ticket);
    }
    return KS_OK;
}

ks_status is_current(ks_session* session, const FilePath& path, const Stored& stored, bool* is_current_out) {
    ks_stamp now{};
    const ks_status s = load_stamp(session, path.content_key, &now);
    *is_current_out = now.version == stored.version();
    return s;
}

// Of what a deletion took, when `now` is the version: what is on disk by our hand at such a time (F1, F4). What is
// neither was written by another program, and is never removed but put back.
bool is_of_ours(const Look& taken, const Stored& now) noexcept {
    return taken == now.content || taken == now.before;
}

// Remove a ticket "-d" that `now` has no use for, or put it back. `look`: what is in it.
ks_status clear_taken(ks_files& files, const FilePath& path, const Stored& now, const Ticket& taken,
                      const Look& look) {
    if (look.is_there && !is_of_ours(look, now)) return files.root.put_back(taken, path);
    files.root.remove(taken);
    return KS_OK;
}

// This version has landed: the tickets of its other finishers go, and what deletions took. Not what a late deletion has
// taken of this version, which is not on disk then: listed before the look, so one that comes later is left, too. And
// only while this is the version: a deletion that looks for nothing finds that, too, where a newer file was taken (F4).
ks_status conclude(ks_files& files, ks_session* session, const FilePath& path, const Stored& stored,
                   bool* has_landed_out) {
    std::vector<Ticket> tickets;
    if (const ks_status s = files.root.list_tickets(&tickets); s != KS_OK) return s;
    if (const ks_status s = is_current(session, path, stored, has_landed_out); s != KS_OK) return s;
    if (!KEYSTILE_GUARD("files.conclude")) *has_landed_out = true;
    if (!*has_landed_out) return KS_OK;
    OnDisk disk;
    if (const ks_status s = files.root.look(path, &disk); s != KS_OK) return s;
    *has_landed_out = disk.is(stored.content);
    if (!*has_landed_out || !KEYSTILE_GUARD("files.retire")) return KS_OK;
    KEYSTILE_CRASH_POINT("files.land.before_clear");
    for (const Ticket& ticket : tickets) {
        if (ticket.id != path.id || ticket.version > stored.version()) continue;
        if (!ticket.is_removed) {
            files.root.remove(ticket);
            continue;
        }
        OnDisk taken;
        ks_status s = files.root.look_at(ticket, &taken);
        if (s == KS_OK) s = clear_taken(files, path, stored, ticket, taken.look);
        if (s != KS_OK) return s;
    }
    return KS_OK;
}

// A file is missing. Was it taken from its place by a deletion whose process died, or that came too late?
enum class Missing { kTaken, kSomeone, kLookAgain };

ks_status explain_missing(ks_files& files, ks_session* session, const FilePath& path, const Stored& stored,
                          Missing* missing_out) {
    // It may have been put back, and its ticket removed, since it was missed. And taken again: as often as there are
    // deletions that are late, each of which takes once. So this is enough for three that are late at once.
    constexpr int kLooks = 3;
    *missing_out = Missing::kSomeone;
    for (int look = 0; look < kLooks; ++look) {
        KEYSTILE_CRASH_POINT("files.missing.before_list");
        std::vector<Ticket> tickets;
        bool is_still = false;
        if (const ks_status s = files.root.list_tickets(&tickets); s != KS_OK) return s;
        if (const ks_status s = is_current(session, path, stored, &is_still); s != KS_OK) return s;
        if (!is_still) {
            *missing_out = Missing::kLookAgain;
            return KS_OK;
        }
        for (const Ticket& ticket : tickets) {
            if (ticket.id != path.id || !ticket.is_removed) continue;
            OnDisk taken;
            if (const ks_status s = files.root.look_at(ticket, &taken); s != KS_OK) return s;
            const bool is_ours = taken.look.is_there && is_of_ours(taken.look, stored);
            if (is_ours && *missing_out == Missing::kSomeone) *missing_out = Missing::kTaken;
            if (is_ours) continue;
            *missing_out = Missing::kLookAgain;
            if (const ks_status s = clear_taken(files, path, stored, ticket, taken.look); s != KS_OK)
                return s;
        }
        if (*missing_out != Missing::kSomeone) return KS_OK;
        KEYSTILE_CRASH_POINT("files.missing.before_look");
        OnDisk again;
        if (const ks_status s = files.root.look(path, &again); s != KS_OK) return s;
        if (again.look.is_there) {
            *missing_out = Missing::kLookAgain;
            return KS_OK;
        }
    }
    // And in the end it may be a newer version that is a deletion, and has landed (specs/Files).
    bool is_still = false;
    const ks_status s = is_current(session, path, stored, &is_still);
    if (!is_still && KEYSTILE_GUARD("files.missing_still")) *missing_out = Missing::kLookAgain;
    return s;
}

// What a version may land over: what was there before it; that or nothing, where it was taken; whatever is there.
enum class Over { kBefore, kMissing, kAnything };

bool may_land(const Look& disk, const Stored& stored, Over over) noexcept {
    if (over == Over::kAnything || disk == stored.before || disk == stored.content) return true;
    return over == Over::kMissing && !disk.is_there;
}

// *is_done_out = false: not ours to do any more.
ks_status put_there(ks_files& files, ks_session* session, const FilePath& path, const Stored& stored,
                    Over over, bool* is_done_out) {
    *is_done_out = false;
    File folder;
    if (const ks_status s = files.root.make_folder(path, &folder); s != KS_OK) return s;
    KEYSTILE_CRASH_POINT("files.land.before_ticket");
    Ticket ticket;
    // Who closed a file to others did not mean that its restoring opens it again.
    const ModeOf mode_of = over == Over::kAnything ? ModeOf::kFileThere : ModeOf::kVersion;
    if (const ks_status s = files.root.make_ticket(path, stored, folder, mode_of, &ticket); s != KS_OK)
        return s;
    KEYSTILE_CRASH_POINT("files.land.after_ticket");
    // The ticket is there, so whoever commits from now on finds it: ours is either seen to be old here, or taken away.
    bool is_ours = false;
    ks_status s = is_current(session, path, stored, &is_ours);
    if (!KEYSTILE_GUARD("files.recheck")) is_ours = true;
    OnDisk disk;
    if (s == KS_OK && is_ours && over != Over::kAnything) {
        s = files.root.look(path, &disk);
        is_ours = may_land(disk.look, stored, over) && !disk.obstacle;
    }
    if (s != KS_OK || !is_ours) {
        files.root.remove(ticket);
        return s;
    }
    KEYSTILE_CRASH_POINT("files.land.before_rename");
    s = files.root.land(ticket, folder, path);
    if (s == KS_NOT_FOUND) return KS_OK;
    if (s != KS_OK) {
        files.root.remove(ticket);
        return s;
    }
    KEYSTILE_CRASH_POINT("files.land.after_rename");
    *is_done_out = true;
    return sync_folder(folder);
}

// This deletion took `look` from its place. It may be the newer version's, which has landed and will not land again by
// itself: its own ticket is there until that has landed again, or is old.
ks_status judge_taken(ks_files& files, ks_session* session, const FilePath& path, const Stored& stored,
                      const Ticket& taken, const Look& look, bool* is_done_out) {
    for (;;) {  // lock-free: once more only where another version was committed
        Stored now;
        if (const ks_status s = load(session, path, &now); s != KS_OK) return s;
        *is_done_out = now.version() == stored.version() && is_of_ours(look, now);
        if (*is_done_out || !KEYSTILE_GUARD("files.taken")) return KS_OK;
        if (!KEYSTILE_GUARD("files.judge_by_now")) now = stored;
        if (is_of_ours(look, now) && now.content.is_there) {
            if (const ks_status s = land(files, session, path, now, Landing::kOurs); s != KS_OK) return s;
            bool is_still = false;
            if (const ks_status s = is_current(session, path, now, &is_still); s != KS_OK) return s;
            if (!is_still && KEYSTILE_GUARD("files.taken_again")) continue;
        }
        return clear_taken(files, path, now, taken, look);
    }
}

// A deletion has no ticket that could be taken from it, so it looks at what it took: F4.
ks_status take_away(ks_files& files, ks_session* session, const FilePath& path, const Stored& stored,
                    bool* is_done_out) {
    *is_done_out = false;
    File folder;
    ks_status s = files.root.open_folder(path, &folder);
    bool is_ours = true;
    if (s == KS_OK) s = is_current(session, path, stored, &is_ours);
    *is_done_out = s == KS_NOT_FOUND;
    if (s != KS_OK || !is_ours) return s == KS_NOT_FOUND ? KS_OK : s;
    KEYSTILE_CRASH_POINT("files.land.before_take");
    Ticket taken;
    s = files.root.take(path, stored.version(), folder, &taken);
    if (s < 0) return s;
    if (s == KS_OK) {
        KEYSTILE_CRASH_POINT("files.land.after_take");
        OnDisk disk;
        if (s = files.root.look_at(taken, &disk); s != KS_OK) return s;
        if (!disk.look.is_there) return KS_OK;  // others saw the file in its place again, and took this away
        s = judge_taken(files, session, path, stored, taken, disk.look, is_done_out);
        if (s != KS_OK || !*is_done_out) return s;
    }
    *is_done_out = true;
    return sync_folder(folder);
}

// The folder's entry may be another's rename, not yet on disk.
ks_status sync_place(ks_files& files, const FilePath& path) {
    File folder;
    const ks_status s = files.root.open_folder(path, &folder);
    return s == KS_OK ? sync_folder(folder) : s == KS_NOT_FOUND ? KS_OK : s;
}

}  // namespace

ks_status land(ks_files& files, ks_session* session, const FilePath& path, const Stored& stored,
               Landing how) {
    // Nothing lands that a loss of power could take back from the store.
    if (how != Landing::kAdopted) {
        if (const ks_status s = ks_wait_durable(files.store, stored.version(), KS_FOREVER); s != KS_OK)
            return s;
    }
    KEYSTILE_CRASH_POINT("files.land.before_retire");
    if (const ks_status s = retire(files, path, stored.version()); s != KS_OK) return s;
    OnDisk disk;
    if (const ks_status s = files.root.look(path, &disk); s != KS_OK) return s;
    if (disk.is(stored.content)) {
        if (how != Landing::kAdopted) {
            if (const ks_status s = sync_place(files, path); s != KS_OK) return s;
        }
    } else {
        if (how == Landing::kAdopted) return KS_OK;
        // A link is replaced by who forces it, a folder is not: it may have other files.
        if (how == Landing::kForced && disk.obstacle.is_folder) return refuse_for(path, disk.obstacle);
        Over over = how == Landing::kForced ? Over::kAnything : Over::kBefore;
        const bool is_missing = !disk.look.is_there && !disk.obstacle;
        if (is_missing && !may_land(disk.look, stored, over)) {
            Missing missing = Missing::kSomeone;
            const ks_status s = explain_missing(files, session, path, stored, &missing);
            if (s != KS_OK) return s;
            if (missing == Missing::kTaken) over = Over::kMissing;
        }
        if (!may_land(disk.look, stored, over)) return KS_OK;
        bool is_done = false;
        const ks_status s = stored.content.is_there ? put_there(files, session, path, stored, over, &is_done)
                                                    : take_away(files, session, path, stored, &is_done);
        if (s != KS_OK || !is_done) return s;
    }
    KEYSTILE_CRASH_POINT("files.land.before_mark");
    bool has_landed = false;
    if (const ks_status s = conclude(files, session, path, stored, &has_landed); s != KS_OK) return s;
    return has_landed ? raise_landed(session, path, stored.version()) : KS_OK;
}

namespace {

// Of one look: what is to be done, or how they stand.
enum class Verdict { kStands, kAgain, kLand };

ks_status judge(ks_files& files, ks_session* session, const FilePath& path, Need need, std::uint64_t landed,
                Scene& scene, Verdict* verdict_out) {
    const Stored& stored = scene.stored;
    const Look& disk = scene.disk.look;
    const Obstacle& obstacle = scene.disk.obstacle;
    *verdict_out = Verdict::kStands;
    if (obstacle && !stored.is_known) return refuse_for(path, obstacle);
    if (scene.disk.is(stored.content)) {  // both may be "no file"
        scene.standing = stored.content.is_there ? Standing::kClean : Standing::kNothing;
        if (stored.is_known && landed < stored.version() && need == Need::kDecision)
            *verdict_out = Verdict::kLand;
        return KS_OK;
    }
    bool is_still = false;
    if (const ks_status s = is_current(session, path, stored, &is_still); s != KS_OK) return s;
    if (!is_still) {
        *verdict_out = Verdict::kAgain;
        return KS_OK;
    }
    // What is in the way was put there by another program, whatever our writer was at.
    if (stored.is_known && landed < stored.version() && disk == stored.before && !obstacle) {
        *verdict_out = Verdict::kLand;
        return KS_OK;
    }
    if (!disk.is_there && !obstacle) {
        Missing missing = Missing::kSomeone;
        if (const ks_status s = explain_missing(files, session, path, stored, &missing); s != KS_OK) return s;
        if (missing != Missing::kSomeone) {
            *verdict_out = missing == Missing::kTaken ? Verdict::kLand : Verdict::kAgain;
            return KS_OK;
        }
    }
    scene.standing = stored.content.is_there ? Standing::kForeign : Standing::kUntracked;
    return KS_OK;
}

}  // namespace

ks_status settle(ks_files& files, ks_session* session, const FilePath& path, Need need,
                 std::uint64_t patience_ns, Scene* scene_out) {
    Scene& scene = *scene_out;
    for (int look = 0; look < kLooksMax; ++look) {
        // In this order: a version that is marked before the look had landed before the look.
        std::uint64_t landed = 0;
        if (const ks_status s = load_landed(session, path, &landed); s != KS_OK) return s;
        if (const ks_status s = load(session, path, &scene.stored); s != KS_OK) return s;
        if (const ks_status s = files.root.look(path, &scene.disk); s != KS_OK) return s;
        KEYSTILE_CRASH_POINT("files.settle.after_look");
        Verdict verdict = Verdict::kStands;
        if (const ks_status s = judge(files, session, path, need, landed, scene, &verdict); s != KS_OK)
            return s;
        if (verdict == Verdict::kStands) return KS_OK;
        if (verdict == Verdict::kAgain) continue;
        if (patience_ns != 0) {  // most often its writer is at it
            ks_stamp mark{};
            if (const ks_status s = load_stamp(session, path.landed_key, &mark); s != KS_OK) return s;
            std::uint64_t now = 0;
            if (const ks_status s = load_landed(session, path, &now); s != KS_OK) return s;
            if (now == landed) {
                const ks_status s = ks_watch(session, bytes_of(path.landed_key), mark, patience_ns, nullptr);
                if (s < 0) return s;
                if (s == KS_TIMEOUT) patience_ns = 0;
            }
            continue;
        }
        const ks_status s = land(files, session, path, scene.stored, Landing::kOurs);
        if (s < 0 && s != KS_E_CORRUPT && need == Need::kRead) {  // the disk is full, say: the store has it
            scene.standing = scene.stored.content.is_there ? Standing::kClean : Standing::kNothing;
            return KS_OK;
        }
        if (s != KS_OK) return s;
    }
    return KS_BUSY;
}

}  // namespace keystile::engine::files
