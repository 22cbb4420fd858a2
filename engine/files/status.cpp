// What stands where: every path, and how store and disk stand to each other.
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "files.hpp"

namespace keystile::engine::files {

using abi::fault;

namespace {

struct Listed {
    bool is_known = false;  // the store has a key of it
    bool is_claimed = false;
    ks_owner owner{};
    bool has_files = false;       // of a level: the store has files below it
    std::uint32_t disk_mode = 0;  // with its kind, 0: not looked for, or nothing is there
    std::uint64_t disk_size = 0;
};
using Paths = std::map<std::string, Listed, std::less<>>;

struct Collector {
    ks_session* session;
    std::string_view prefix;
    bool is_level;
    Paths* paths;
    ks_status status = KS_OK;
};

bool is_below(std::string_view path, std::string_view prefix) noexcept {
    if (prefix.empty() || path == prefix) return true;
    return path.size() > prefix.size() && path.starts_with(prefix) && path[prefix.size()] == '/';
}

// On a level: the path, or the folder in `prefix` that it is in. Empty: neither.
std::string_view part_on_level(std::string_view path, std::string_view prefix) noexcept {
    const std::size_t begin = prefix.empty() ? 0 : prefix.size() + 1;
    return path.size() < begin ? std::string_view() : path.substr(0, path.find('/', begin));
}

void add(Collector& collector, const FilePath& path, const ks_entry& entry) {
    const std::string_view part =
        collector.is_level ? part_on_level(path.text, collector.prefix) : std::string_view(path.text);
    if (part.empty()) return;
    Listed& listed = (*collector.paths)[std::string(part)];
    if (part.size() == path.text.size()) {
        listed.is_known = true;
        listed.is_claimed = entry.is_claimed != 0;
        listed.owner = entry.owner;
    } else if (!listed.has_files) {
        Stored stored;
        listed.has_files = load(collector.session, path, &stored) == KS_OK && stored.content.is_there;
    }
}

// No exception crosses the C call that asks.
int collect(void* user, const ks_entry* entry) noexcept {
    auto& collector = *static_cast<Collector*>(user);
    try {
        FilePath path;
        const std::string_view key(static_cast<const char*>(entry->key.data), entry->key.size);
        // A key of another form is nobody's file.
        if (path_of_key(key, &path) == KS_OK && is_below(path.text, collector.prefix))
            add(collector, path, *entry);
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

// What the disk has, on one level or on all.
ks_status add_from_disk(const Root& root, const std::string& prefix, bool is_level, Paths* paths_out) {
    struct Walk {
        Paths* paths;
        bool is_level;
        std::vector<std::string> folders;
    } walk{paths_out, is_level, {prefix}};
    const auto visit = [](void* user, const std::string& path, const struct stat& info) {
        auto& at = *static_cast<Walk*>(user);
        if (S_ISDIR(info.st_mode) && !at.is_level) return at.folders.push_back(path);
        Listed& listed = (*at.paths)[path];
        listed.disk_mode = info.st_mode;
        listed.disk_size = static_cast<std::uint64_t>(info.st_size);
    };
    while (!walk.folders.empty()) {
        const std::string folder = std::move(walk.folders.back());
        walk.folders.pop_back();
        if (const ks_status s = root.list(folder, visit, &walk); s != KS_OK) return s;
    }
    return KS_OK;
}

ks_status list_paths(ks_files& files, ks_session* session, const std::string& prefix, std::uint32_t flags,
                     Paths* paths_out) {
    const bool is_level = (flags & KS_FILES_LEVEL) != 0;
    Collector collector{session, prefix, is_level, paths_out};
    const std::string keys = std::string(kContentPrefix) + prefix;
    const ks_status s = ks_list(session, bytes_of(keys), KS_LIST_ALL, collect, &collector);
    if (s != KS_OK || collector.status != KS_OK) return s != KS_OK ? s : collector.status;
    if ((flags & KS_FILES_ALL) == 0) return KS_OK;
    FilePath whole;
    whole.text = prefix;
    OnDisk disk;
    const bool is_no_folder =
        !is_level && !prefix.empty() && files.root.look(whole, &disk) == KS_OK && !disk.obstacle.is_folder;
    if (is_no_folder) {  // it names a file, or nothing
        if (disk.has_file()) paths_out->try_emplace(prefix);
        return KS_OK;
    }
    return add_from_disk(files.root, prefix, is_level, paths_out);
}

// What the disk alone says.
void describe_unread(const FilePath& path, const Listed& listed, std::uint32_t state,
                     ks_files_entry* entry_out) {
    *entry_out = {};
    entry_out->path = path.text.c_str();
    entry_out->state = state;
    entry_out->mode = listed.disk_mode & 07777u;
    if (state == KS_FILES_UNTRACKED) entry_out->size = listed.disk_size;
}

// What was asked for of a path. KS_NOT_FOUND: nothing.
ks_status tell(const ks_files& files, ks_session* session, const FilePath& path, const Listed& listed,
               std::uint32_t flags, ks_files_entry* entry_out) {
    const bool is_all = (flags & KS_FILES_ALL) != 0, is_level = (flags & KS_FILES_LEVEL) != 0;
    if (is_level && S_ISDIR(listed.disk_mode)) {  // whatever file the store has in its place
        describe_unread(path, listed, KS_FILES_FOLDER, entry_out);
        return KS_OK;
    }
    if (is_level && !listed.is_known && S_ISREG(listed.disk_mode)) {
        describe_unread(path, listed, KS_FILES_UNTRACKED, entry_out);
        return KS_OK;
    }
    if (listed.is_known || !is_level) {
        const ks_status s = describe(files, session, path, entry_out);
        if (s == KS_E_CORRUPT) return KS_NOT_FOUND;  // no file's value; whoever reads the path is told
        if (s != KS_OK) return s;
        entry_out->is_claimed = listed.is_claimed ? 1 : 0;
        entry_out->owner = listed.owner;
        const bool is_gone = entry_out->state == KS_FILES_DELETED;
        if (!is_gone && entry_out->state != KS_FILES_UNTRACKED) return KS_OK;
        if (is_all && !(is_gone && listed.has_files)) return KS_OK;
    }
    if (!listed.has_files) return KS_NOT_FOUND;
    describe_unread(path, listed, KS_FILES_FOLDER, entry_out);
    return KS_OK;
}

}  // namespace

}  // namespace keystile::engine::files

using namespace keystile::engine;
using namespace keystile::engine::files;

ks_status ks_files_status(ks_files* files, const char* prefix, uint32_t flags, ks_files_fn fn, void* user) {
    return guarded("listing files", [&] {
        ks_session* session = nullptr;
        if (const ks_status s = enter(files, &session); s != KS_OK) return s;
        if (fn == nullptr || (flags & ~(KS_FILES_ALL | KS_FILES_LEVEL)) != 0)
            return abi::fault(KS_E_ARGUMENT, "fn is NULL, or an unknown flag");
        std::string below;
        if (const ks_status s = parse_prefix(prefix, &below); s != KS_OK) return s;
        Paths paths;
        if (const ks_status s = list_paths(*files, session, below, flags, &paths); s != KS_OK) return s;
        for (const auto& [text, listed] : paths) {
            FilePath path;
            if (const ks_status s = parse_path(text.c_str(), &path); s != KS_OK) return s;
            ks_files_entry entry;
            const ks_status told = tell(*files, session, path, listed, flags, &entry);
            if (told == KS_NOT_FOUND) continue;
            if (told != KS_OK) return told;
            if (fn(user, &entry) != 0) break;
        }
        return KS_OK;
    });
}
