// What stands where: every path, and how store and disk stand to each other.
#include <algorithm>
#include <map>

#include "files.hpp"

namespace keystile::engine::files {

using abi::fault;

namespace {

struct Listed {
    bool is_claimed = false;
    ks_owner owner{};
};
using Paths = std::map<std::string, Listed, std::less<>>;

struct Collector {
    std::string_view prefix;
    Paths* paths;
    ks_status status = KS_OK;
};

bool is_below(std::string_view path, std::string_view prefix) noexcept {
    if (prefix.empty() || path == prefix) return true;
    return path.size() > prefix.size() && path.starts_with(prefix) && path[prefix.size()] == '/';
}

// No exception crosses the C call that asks.
int collect(void* user, const ks_entry* entry) noexcept {
    auto& collector = *static_cast<Collector*>(user);
    try {
        FilePath path;
        const std::string_view key(static_cast<const char*>(entry->key.data), entry->key.size);
        // A key of another form is nobody's file.
        if (path_of_key(key, &path) == KS_OK && is_below(path.text, collector.prefix))
            collector.paths->insert_or_assign(path.text, Listed{entry->is_claimed != 0, entry->owner});
    } catch (const std::bad_alloc&) {
        collector.status = fault(KS_E_MEMORY, "listing files: out of memory");
    }
    return collector.status == KS_OK ? 0 : 1;
}

std::uint32_t state_of(const Stored& stored, const OnDisk& disk, std::uint64_t landed) noexcept {
    if (disk.is(stored.content)) return stored.content.is_there ? KS_FILES_CLEAN : KS_FILES_DELETED;
    const bool is_pending = stored.is_known && landed < stored.version() && disk.look == stored.before;
    if (is_pending && !disk.obstacle) return KS_FILES_PENDING;
    if (!stored.content.is_there) return KS_FILES_UNTRACKED;
    return disk.look.is_there ? KS_FILES_EDITED : KS_FILES_MISSING;
}

// A path that moves meanwhile is told as it was last seen.
constexpr int kStatusLooksMax = 100;

// The same look as settle(), but nothing is done about it.
ks_status describe(const ks_files& files, ks_session* session, const FilePath& path,
                   ks_files_entry* entry_out) {
    Stored stored;
    OnDisk disk;
    std::uint64_t landed = 0;
    for (int look = 0; look < kStatusLooksMax; ++look) {
        if (const ks_status s = load_landed(session, path, &landed); s != KS_OK) return s;
        if (const ks_status s = load(session, path, &stored); s != KS_OK) return s;
        const ks_status seen = files.root.look(path, &disk);
        if (seen == KS_E_PATH || seen == KS_E_PERMISSION) {  // out of reach, or none that we may read
            disk = {};
            disk.look = kNoFile;
        } else if (seen != KS_OK) {
            return seen;
        }
        ks_stamp now{};
        if (const ks_status s = load_stamp(session, path.content_key, &now); s != KS_OK) return s;
        if (now.version == stored.version()) break;
    }
    ks_files_entry& entry = *entry_out;
    entry = {};
    entry.path = path.text.c_str();
    entry.stamp = stored.stamp;
    entry.state = state_of(stored, disk, landed);
    const bool is_untracked = entry.state == KS_FILES_UNTRACKED;
    const Look& told = is_untracked ? disk.look : stored.content;
    entry.size = is_untracked ? disk.size : stored.is_known ? stored.data().size() : 0;
    std::copy(told.hash.begin(), told.hash.end(), entry.hash);
    entry.mode = disk.look.is_there ? disk.mode : stored.mode;
    return KS_OK;
}

ks_status list_paths(ks_files& files, ks_session* session, const std::string& prefix, std::uint32_t flags,
                     Paths* paths_out) {
    Collector collector{prefix, paths_out};
    const std::string keys = std::string(kContentPrefix) + prefix;
    const ks_status s = ks_list(session, bytes_of(keys), KS_LIST_ALL, collect, &collector);
    if (s != KS_OK || collector.status != KS_OK) return s != KS_OK ? s : collector.status;
    if ((flags & KS_FILES_ALL) == 0) return KS_OK;
    FilePath whole;
    whole.text = prefix;
    OnDisk disk;
    const bool is_no_folder =
        !prefix.empty() && files.root.look(whole, &disk) == KS_OK && !disk.obstacle.is_folder;
    if (is_no_folder) {  // it names a file, or nothing
        if (disk.has_file()) paths_out->try_emplace(prefix);
        return KS_OK;
    }
    return files.root.walk(
        prefix,
        [](void* user, const std::string& path) {
            static_cast<Paths*>(user)->try_emplace(path);
            return true;
        },
        paths_out);
}

}  // namespace

}  // namespace keystile::engine::files

using namespace keystile::engine;
using namespace keystile::engine::files;

ks_status ks_files_status(ks_files* files, const char* prefix, uint32_t flags, ks_files_fn fn, void* user) {
    return guarded("listing files", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        if (fn == nullptr || (flags & ~KS_FILES_ALL) != 0)
            return abi::fault(KS_E_ARGUMENT, "fn is NULL, or an unknown flag");
        std::string below;
        if (const ks_status s = parse_prefix(prefix, &below); s != KS_OK) return s;
        Paths paths;
        if (const ks_status s = list_paths(*files, session, below, flags, &paths); s != KS_OK) return s;
        for (const auto& [text, listed] : paths) {
            FilePath path;
            if (const ks_status s = parse_path(text.c_str(), &path); s != KS_OK) return s;
            ks_files_entry entry;
            const ks_status described = describe(*files, session, path, &entry);
            if (described == KS_E_CORRUPT)
                continue;  // a value that no file's is; whoever reads the path is told
            if (described != KS_OK) return described;
            entry.is_claimed = listed.is_claimed ? 1 : 0;
            entry.owner = listed.owner;
            const bool is_unasked = entry.state == KS_FILES_DELETED || entry.state == KS_FILES_UNTRACKED;
            if (is_unasked && (flags & KS_FILES_ALL) == 0) continue;
            if (fn(user, &entry) != 0) break;
        }
        return KS_OK;
    });
}
