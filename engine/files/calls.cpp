// The C calls that read and change files.
#include <algorithm>
#include <cstring>

#include "writing.hpp"

namespace keystile::engine::files {

using abi::fault;

namespace {

bool is_each_once(const std::vector<Edit>& edits) {
    std::vector<std::string_view> paths;
    paths.reserve(edits.size());
    for (const Edit& edit : edits) paths.push_back(edit.path.text);
    std::sort(paths.begin(), paths.end());
    return std::adjacent_find(paths.begin(), paths.end()) == paths.end();
}

ks_status check_data(ks_bytes data) noexcept {
    if (data.data == nullptr && data.size != 0) return fault(KS_E_ARGUMENT, "the content's data is NULL");
    if (data.size <= KS_FILES_SIZE_MAX) return KS_OK;
    return fault(KS_E_VALUE_SIZE, "a file has at most %u bytes, not %zu", KS_FILES_SIZE_MAX, data.size);
}

std::string_view view_of(ks_bytes data) noexcept {
    return {static_cast<const char*>(data.data), data.size};
}

}  // namespace

ks_status read_changes(const ks_files_change* changes, std::size_t count, std::vector<Edit>* edits_out) {
    constexpr std::uint32_t kFlags = KS_FILES_EXPECT | KS_FILES_REMOVE;
    if (changes == nullptr || count == 0 || count > KS_MULTI_KEYS_MAX)
        return fault(KS_E_ARGUMENT, "one step has 1 to %u paths, not %zu", KS_MULTI_KEYS_MAX, count);
    edits_out->resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        const ks_files_change& change = changes[i];
        Edit& edit = (*edits_out)[i];
        if (change.flags > KS_FILES_REMOVE || (change.flags & ~kFlags) != 0)
            return fault(KS_E_ARGUMENT, "unknown flags %#x of a change", change.flags);
        if (change.flags != 0 && change.data.size != 0)
            return fault(KS_E_ARGUMENT, "a change that writes nothing has no data");
        if (const ks_status s = parse_path(change.path, &edit.path); s != KS_OK) return s;
        if (const ks_status s = check_data(change.data); s != KS_OK) return s;
        edit.flags = change.flags;
        edit.data = view_of(change.data);
        edit.seen = change.seen;
        edit.grant = change.grant;
    }
    if (!is_each_once(*edits_out)) return fault(KS_E_ARGUMENT, "a path is there twice");
    return KS_OK;
}

void tell_changes(const std::vector<Edit>& edits, ks_files_change* changes) noexcept {
    for (const Edit& edit : edits) {
        changes->status = edit.status;
        changes->stamp = edit.stamp;
        changes->owner = edit.owner;
        ++changes;
    }
}

namespace {

ks_status read_path(ks_files& files, ks_session* session, const FilePath& path, void* buf,
                    std::size_t capacity, std::size_t* size_out, ks_stamp* seen_out) {
    Scene scene;
    if (const ks_status s = settle(files, session, path, Need::kRead, kPatienceNs, &scene); s != KS_OK)
        return s;
    if (scene.standing == Standing::kUntracked) {
        ks_receipt receipt{};
        ks_status s = adopt(files, session, path, nullptr, false, &scene, &receipt);
        if (s == KS_E_FULL) s = settle(files, session, path, Need::kRead, kPatienceNs, &scene);
        if (s != KS_OK && s != KS_HELD) return s;
    }
    if (seen_out != nullptr) *seen_out = scene.stored.stamp;
    if (scene.standing == Standing::kNothing && scene.disk.obstacle)
        return refuse_for(path, scene.disk.obstacle);
    // Under another's claim, or where the store has no room, it could not be adopted, and is what is on disk.
    const bool is_stored = scene.standing != Standing::kUntracked;
    std::string_view data;
    if (scene.standing == Standing::kClean) data = scene.stored.data();
    if (!is_stored) data = {scene.disk.data.data(), scene.disk.data.size()};
    if (size_out != nullptr) *size_out = data.size();
    if (scene.standing == Standing::kNothing) return KS_NOT_FOUND;
    if (scene.standing == Standing::kForeign) return KS_FOREIGN_EDIT;
    if (data.size() > capacity) return KS_TOO_SMALL;
    if (buf != nullptr && !data.empty()) std::memcpy(buf, data.data(), data.size());
    return KS_OK;
}

ks_status change_one(ks_files* files, const char* path, ks_bytes data, std::uint32_t flags, ks_stamp seen,
                     const ks_grant* grant, ks_receipt* receipt_out) {
    return guarded("writing a file", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        Edit edit;
        if (const ks_status s = parse_path(path, &edit.path); s != KS_OK) return s;
        if (const ks_status s = check_data(data); s != KS_OK) return s;
        edit.data = view_of(data);
        edit.flags = flags;
        edit.seen = seen;
        edit.grant = grant;
        ks_receipt receipt{};
        const ks_status s = write_one(*files, session, edit, &receipt);
        if (receipt_out != nullptr) *receipt_out = receipt;
        return s;
    });
}

ks_status rename_path(ks_files& files, ks_session* session, std::vector<Edit>& edits,
                      ks_receipt* receipt_out) {
    Edit &to = edits[0], &from = edits[1];
    Scene source;
    if (const ks_status s = settle(files, session, from.path, Need::kDecision, kPatienceNs, &source);
        s != KS_OK)
        return s;
    receipt_out->stamp = source.stored.stamp;
    if (source.stored.version() != from.seen.version) return KS_CONFLICT;
    if (is_foreign(source)) return KS_FOREIGN_EDIT;
    if (source.standing == Standing::kNothing) return KS_NOT_FOUND;
    to.data = source.stored.data();
    to.mode = source.disk.mode;
    const ks_status s = publish(files, session, edits, nullptr);
    const Edit& told = s > 0 && to.status == KS_OK ? from : to;
    receipt_out->stamp = told.stamp;
    receipt_out->owner = told.owner;
    return s;
}

}  // namespace

}  // namespace keystile::engine::files

using namespace keystile::engine;
using namespace keystile::engine::files;

ks_status ks_files_key(ks_files* files, const char* path, char* buf, size_t capacity, size_t* size_out) {
    return guarded("naming a file", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        FilePath parsed;
        if (const ks_status s = parse_path(path, &parsed); s != KS_OK) return s;
        const std::size_t size = parsed.content_key.size();
        if (size_out != nullptr) *size_out = size;
        if (capacity <= size) return KS_TOO_SMALL;
        if (buf == nullptr) return abi::fault(KS_E_ARGUMENT, "buf is NULL, capacity is not 0");
        std::memcpy(buf, parsed.content_key.c_str(), size + 1);
        return KS_OK;
    });
}

ks_status ks_files_read(ks_files* files, const char* path, void* buf, size_t capacity, size_t* size_out,
                        ks_stamp* seen_out) {
    return guarded("reading a file", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        if (buf == nullptr && capacity != 0)
            return abi::fault(KS_E_ARGUMENT, "buf is NULL, capacity is not 0");
        FilePath parsed;
        if (const ks_status s = parse_path(path, &parsed); s != KS_OK) return s;
        return read_path(*files, session, parsed, buf, capacity, size_out, seen_out);
    });
}

ks_status ks_files_write(ks_files* files, const char* path, ks_bytes data, ks_stamp seen,
                         const ks_grant* grant, ks_receipt* receipt_out) {
    return change_one(files, path, data, 0, seen, grant, receipt_out);
}

ks_status ks_files_remove(ks_files* files, const char* path, ks_stamp seen, const ks_grant* grant,
                          ks_receipt* receipt_out) {
    return change_one(files, path, {}, KS_FILES_REMOVE, seen, grant, receipt_out);
}

ks_status ks_files_publish(ks_files* files, ks_files_change* changes, size_t count, uint64_t* lsn_out) {
    return guarded("publishing files", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        std::vector<Edit> edits;
        if (const ks_status s = read_changes(changes, count, &edits); s != KS_OK) return s;
        const ks_status s = publish(*files, session, edits, lsn_out);
        tell_changes(edits, changes);
        return s;
    });
}

ks_status ks_files_rename(ks_files* files, const char* from, ks_stamp from_seen, const ks_grant* from_grant,
                          const char* to, ks_stamp to_seen, const ks_grant* to_grant,
                          ks_receipt* receipt_out) {
    return guarded("renaming a file", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        std::vector<Edit> edits(2);
        if (const ks_status s = parse_path(to, &edits[0].path); s != KS_OK) return s;
        if (const ks_status s = parse_path(from, &edits[1].path); s != KS_OK) return s;
        if (edits[0].path.text == edits[1].path.text)
            return abi::fault(KS_E_ARGUMENT, "a file is renamed to another name than its own");
        edits[0].seen = to_seen;
        edits[0].grant = to_grant;
        edits[1].seen = from_seen;
        edits[1].grant = from_grant;
        edits[1].flags = KS_FILES_REMOVE;
        ks_receipt receipt{};
        const ks_status s = rename_path(*files, session, edits, &receipt);
        if (receipt_out != nullptr) *receipt_out = receipt;
        return s;
    });
}

ks_status ks_files_adopt(ks_files* files, const char* path, const ks_grant* grant, ks_receipt* receipt_out) {
    return guarded("adopting a file", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        FilePath parsed;
        if (const ks_status s = parse_path(path, &parsed); s != KS_OK) return s;
        Scene scene;
        ks_receipt receipt{};
        ks_status s = adopt(*files, session, parsed, grant, true, &scene, &receipt);
        if (s == KS_OK && !scene.stored.is_known) s = KS_NOT_FOUND;
        if (receipt_out != nullptr) *receipt_out = receipt;
        return s;
    });
}

ks_status ks_files_restore(ks_files* files, const char* path, ks_receipt* receipt_out) {
    return guarded("restoring a file", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        FilePath parsed;
        if (const ks_status s = parse_path(path, &parsed); s != KS_OK) return s;
        Stored stored;
        if (receipt_out != nullptr) *receipt_out = {};
        if (const ks_status s = load(session, parsed, &stored); s != KS_OK) return s;
        const ks_status s =
            stored.content.is_there ? land(*files, session, parsed, stored, Landing::kForced) : KS_NOT_FOUND;
        if (receipt_out != nullptr && s >= 0) receipt_out->stamp = stored.stamp;
        return s;
    });
}
