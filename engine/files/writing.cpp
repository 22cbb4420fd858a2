// Committing one path, or many, or what another program wrote.
#include <algorithm>

#include "writing.hpp"

namespace keystile::engine::files {

using abi::fault;

namespace {

ks_commit_options options_of(const ks_grant* grant, bool is_durable) noexcept {
    return {sizeof(ks_commit_options), is_durable ? KS_COMMIT_DURABLE : KS_COMMIT_RELAXED, 0, grant};
}

// What is to be committed instead of what the scene shows.
void compose_next(const ks_files& files, Edit& edit) {
    const OnDisk& disk = edit.scene.disk;
    std::uint32_t mode = edit.mode;
    if (mode == Edit::kKeepMode) mode = disk.has_file() ? disk.mode : files.root.new_mode();
    compose(edit.data, (edit.flags & KS_FILES_REMOVE) != 0, disk.look, mode, &edit.next);
}

// Settle the path; judge what the store cannot: the disk. *is_refused_out: edit.status and stamp say why.
ks_status prepare(ks_files& files, ks_session* session, Edit& edit) {
    const ks_status s = settle(files, session, edit.path, Need::kDecision, kPatienceNs, &edit.scene);
    if (s != KS_OK) return s;
    edit.stamp = edit.scene.stored.stamp;
    const bool is_seen = edit.stamp.version == edit.seen.version;
    if (is_seen && is_foreign(edit.scene)) edit.status = KS_FOREIGN_EDIT;
    const bool is_nothing = (edit.flags & KS_FILES_REMOVE) != 0 && edit.scene.standing == Standing::kNothing;
    const bool is_change = (edit.flags & KS_FILES_EXPECT) == 0 && !is_nothing;
    if (!is_change || !is_seen || edit.status != KS_OK) return KS_OK;
    const Obstacle& obstacle = edit.scene.disk.obstacle;
    return obstacle ? refuse_for(edit.path, obstacle) : files.root.check_place(edit.path);
}

// Is the stamp what was seen, or the claim's? If not, the store says in which way.
ks_status is_as_seen(ks_session* session, const Edit& edit, bool* is_seen_out) {
    ks_stamp now = edit.stamp;
    std::uint64_t epoch = edit.seen.epoch;
    if (edit.grant != nullptr) {
        if (const ks_status s = load_claimed(session, edit.path.content_key, *edit.grant, &now); s != KS_OK)
            return s;
        epoch = edit.grant->stamp.epoch;  // whatever was read before it
    }
    *is_seen_out = now.version == edit.seen.version && now.epoch == epoch;
    return KS_OK;
}

}  // namespace

ks_status write_one(ks_files& files, ks_session* session, Edit& edit, ks_receipt* receipt_out) {
    if (const ks_status s = prepare(files, session, edit); s != KS_OK) return s;
    receipt_out->stamp = edit.stamp;
    if (edit.status != KS_OK) return edit.status;
    if ((edit.flags & KS_FILES_REMOVE) != 0 && edit.scene.standing == Standing::kNothing) {
        bool is_seen = false;
        if (const ks_status s = is_as_seen(session, edit, &is_seen); s != KS_OK) return s;
        if (is_seen) return KS_NOT_FOUND;
    }
    receipt_out->stamp = {0, 0};
    compose_next(files, edit);
    const ks_commit_options options = options_of(edit.grant, true);
    const ks_bytes value{edit.next.value.data(), edit.next.value.size()};
    const ks_status s =
        ks_commit(session, bytes_of(edit.path.content_key), edit.seen, value, &options, receipt_out);
    if (s != KS_OK) return s;
    KEYSTILE_CRASH_POINT("files.write.after_commit");
    edit.next.stamp = receipt_out->stamp;
    return land(files, session, edit.path, edit.next, Landing::kOurs);
}

namespace {

// The worse of two answers: what a caller must do about them.
int weight(ks_status status) noexcept {
    switch (status) {
        case KS_OK:
            return 0;
        case KS_FOREIGN_EDIT:
            return 1;
        case KS_HELD:
            return 2;
        case KS_CONFLICT:
            return 3;
        default:  // KS_FENCED
            return 4;
    }
}

ks_status fill(ks_multi* multi, const ks_files& files, Edit& edit) {
    // Under a claim the epoch is the claim's, whatever was read before it.
    const ks_stamp expected{edit.seen.version,
                            edit.grant != nullptr ? edit.grant->stamp.epoch : edit.seen.epoch};
    const ks_bytes key = bytes_of(edit.path.content_key);
    if (const ks_status s = ks_multi_expect(multi, key, expected); s != KS_OK) return s;
    const bool is_nothing = edit.scene.standing == Standing::kNothing;
    if ((edit.flags & KS_FILES_EXPECT) != 0 || ((edit.flags & KS_FILES_REMOVE) != 0 && is_nothing))
        return KS_OK;
    compose_next(files, edit);
    const ks_commit_options options = options_of(edit.grant, true);
    return ks_multi_put(multi, key, {edit.next.value.data(), edit.next.value.size()}, &options);
}

ks_status commit_all(ks_multi* multi, const ks_files& files, std::vector<Edit>& edits) {
    for (Edit& edit : edits) {
        if (const ks_status s = fill(multi, files, edit); s != KS_OK) return s;
    }
    const ks_status status = ks_multi_commit(multi);
    ks_multi_result result{};
    for (Edit& edit : edits) {
        if (ks_multi_find(multi, bytes_of(edit.path.content_key), &result) != KS_OK) continue;
        edit.status = result.status;
        edit.stamp = result.stamp;
        edit.owner = result.owner;
    }
    return status;
}

// All that can be put on disk is; the last fault.
ks_status land_all(ks_files& files, ks_session* session, std::vector<Edit>& edits) {
    ks_status last = KS_OK;
    for (Edit& edit : edits) {
        if (!edit.next.is_known) continue;
        edit.next.stamp = edit.stamp;
        KEYSTILE_CRASH_POINT("files.publish.before_land");
        const ks_status s = land(files, session, edit.path, edit.next, Landing::kOurs);
        if (s != KS_OK) last = edit.status = s;
    }
    return last;
}

}  // namespace

ks_status publish(ks_files& files, ks_session* session, std::vector<Edit>& edits, std::uint64_t* lsn_out) {
    bool is_refused = false;
    for (Edit& edit : edits) {
        if (const ks_status s = prepare(files, session, edit); s != KS_OK) {
            for (Edit& other : edits) other.stamp = {0, 0};
            return edit.status = s;
        }
        is_refused = is_refused || edit.status != KS_OK;
    }
    if (is_refused) {  // the store need not be asked; it would only know the versions
        ks_status worst = KS_OK;
        for (Edit& edit : edits) {
            if (edit.status == KS_OK && edit.stamp.version != edit.seen.version) edit.status = KS_CONFLICT;
            if (weight(edit.status) > weight(worst)) worst = edit.status;
        }
        return worst;
    }
    ks_multi* multi = nullptr;
    if (const ks_status s = ks_multi_begin(session, &multi); s != KS_OK) return s;
    const std::unique_ptr<ks_multi, void (*)(ks_multi*)> ended(multi, ks_multi_end);
    const ks_status s = commit_all(multi, files, edits);
    if (s < 0) {
        // Committed and not known to be on disk: told by a stamp that is new.
        const bool is_committed = std::any_of(edits.begin(), edits.end(), [](const Edit& edit) {
            return edit.next.is_known && edit.status == KS_OK && edit.stamp.version > edit.seen.version;
        });
        for (Edit& edit : edits) {
            if (!is_committed) edit.stamp = {0, 0};
        }
        return s;
    }
    if (s != KS_OK) return s;
    KEYSTILE_CRASH_POINT("files.publish.after_commit");
    if (lsn_out != nullptr) {
        *lsn_out = 0;
        for (const Edit& edit : edits) {
            if (edit.next.is_known) *lsn_out = std::max(*lsn_out, edit.stamp.version);
        }
    }
    return land_all(files, session, edits);
}

ks_status adopt(ks_files& files, ks_session* session, const FilePath& path, const ks_grant* grant,
                bool is_durable, Scene* scene_out, ks_receipt* receipt_out) {
    constexpr int kTriesMax = 100;  // somebody edits it all the time
    Scene& scene = *scene_out;
    for (int tries = 0; tries < kTriesMax; ++tries) {
        if (const ks_status s = settle(files, session, path, Need::kDecision, kPatienceNs, &scene);
            s != KS_OK)
            return s;
        receipt_out->stamp = scene.stored.stamp;
        if (!is_foreign(scene)) return KS_OK;
        const OnDisk& disk = scene.disk;
        receipt_out->stamp = {0, 0};
        if (disk.size > KS_FILES_SIZE_MAX) {
            return fault(KS_E_VALUE_SIZE, "'%.200s': a file has at most %u bytes, not %llu",
                         path.text.c_str(), KS_FILES_SIZE_MAX, static_cast<unsigned long long>(disk.size));
        }
        const bool is_there = disk.has_file();
        if (is_durable && is_there) {
            if (const ks_status s = files.root.sync_file(path); s != KS_OK) return s;
        }
        Stored next;
        // What is there is all that may be there until it has landed: it has. What is no file is none.
        compose({disk.data.data(), disk.data.size()}, !is_there, is_there ? disk.look : Look{}, disk.mode,
                &next);
        const ks_commit_options options = options_of(grant, is_durable);
        const ks_status s = ks_commit(session, bytes_of(path.content_key), scene.stored.stamp,
                                      {next.value.data(), next.value.size()}, &options, receipt_out);
        if (s == KS_CONFLICT || (s == KS_FENCED && grant == nullptr)) continue;
        if (s != KS_OK) return s;
        KEYSTILE_CRASH_POINT("files.adopt.after_commit");
        next.stamp = receipt_out->stamp;
        if (const ks_status t = land(files, session, path, next, Landing::kAdopted); t != KS_OK) return t;
        scene.stored = std::move(next);
        scene.standing = is_there ? Standing::kClean : Standing::kNothing;
        return KS_OK;
    }
    return KS_BUSY;
}

}  // namespace keystile::engine::files
