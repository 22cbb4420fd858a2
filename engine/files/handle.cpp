// Opening and closing a root.
#include <unordered_set>

#include "files.hpp"

namespace keystile::engine::files {

using abi::fault;
using abi::live;

namespace {

bool is_alive(const ks_files* files) noexcept {
    return files != nullptr && files->magic == live(abi::kFilesMagic);
}

struct Keys {
    std::vector<std::string> keys;
    bool is_out_of_memory = false;
};

int collect_key(void* user, const ks_entry* entry) noexcept {
    auto& found = *static_cast<Keys*>(user);
    try {
        found.keys.emplace_back(static_cast<const char*>(entry->key.data), entry->key.size);
    } catch (const std::bad_alloc&) {
        found.is_out_of_memory = true;
    }
    return found.is_out_of_memory ? 1 : 0;
}

// What dead processes began: a version that has not landed is put on disk, tickets that have no use go. A path that
// cannot be finished (a folder is in its place, a key's value is no file's) stays as it is, and whoever reads or
// writes it is told.
ks_status finish(ks_files& files, ks_session* session) {
    Keys found;
    if (const ks_status s = ks_list(session, bytes_of(kContentPrefix), 0, collect_key, &found); s != KS_OK)
        return s;
    if (found.is_out_of_memory) throw std::bad_alloc();
    std::vector<Ticket> tickets;
    if (const ks_status s = files.root.list_tickets(&tickets); s != KS_OK) return s;
    std::unordered_set<std::uint64_t> begun;  // ids of paths
    for (const Ticket& ticket : tickets) begun.insert(ticket.id);
    for (const std::string& key : found.keys) {
        FilePath path;
        std::uint64_t landed = 0;
        ks_stamp now{};
        if (path_of_key(key, &path) != KS_OK) continue;  // nobody's file
        if (load_landed(session, path, &landed) != KS_OK) continue;
        if (load_stamp(session, path.content_key, &now) != KS_OK) continue;
        const bool has_tickets = begun.contains(path.id);
        if (landed >= now.version && !has_tickets) continue;
        Scene scene;
        const ks_status s = settle(files, session, path, Need::kDecision, 0, &scene);
        // Of what has landed before, too, the tickets go.
        if (s == KS_OK && has_tickets && scene.stored.is_known)
            (void)land(files, session, path, scene.stored, Landing::kOurs);
    }
    return KS_OK;
}

ks_status open_store(ks_files& files, const ks_files_options* options) {
    const bool is_own = options == nullptr || options->store_url == nullptr;
    const std::string url = is_own ? "file:" + files.root.path() + "/" + kOwnFolder : options->store_url;
    ks_open_options given{};
    given.struct_size = sizeof given;
    given.label = options != nullptr ? options->label : nullptr;
    const bool is_durable = url.starts_with("file:");
    if (is_durable) given.flags = KS_OPEN_DURABLE;
    if (const ks_status s = ks_open(url.c_str(), &given, &files.store); s != KS_OK) return s;
    return ks_session_open(files.store, &files.claims);
}

}  // namespace

ks_status enter(ks_files* files, ks_session** session_out) noexcept {
    if (!is_alive(files))
        return abi::explain_handle(files, files != nullptr ? files->magic : 0, abi::kFilesMagic);
    *session_out = ks_default_session(files->store);
    return *session_out != nullptr ? KS_OK : ks_last_status();
}

}  // namespace keystile::engine::files

using namespace keystile::engine;
using namespace keystile::engine::files;

ks_status ks_files_open(const char* root, const ks_files_options* options, ks_files** files_out) {
    if (root == nullptr || files_out == nullptr)
        return abi::fault(KS_E_ARGUMENT, "root and files_out must not be NULL");
    if (options != nullptr && options->struct_size != sizeof *options)
        return abi::fault(KS_E_STRUCT_SIZE, "ks_files_options.struct_size");
    if (options != nullptr && (options->flags | options->reserved) != 0)
        return abi::fault(KS_E_ARGUMENT, "unknown flag %#x", options->flags | options->reserved);
    return guarded("opening a folder's files", [&] {
        auto files = std::make_unique<ks_files>();
        if (const ks_status s = files->root.open(root); s != KS_OK) return s;
        ks_status s = keystile::engine::files::open_store(*files, options);
        if (s == KS_OK) s = files->root.open_tickets();
        ks_session* session = nullptr;
        if (s == KS_OK) {
            files->magic = abi::live(abi::kFilesMagic);
            s = enter(files.get(), &session);
        }
        if (s == KS_OK) s = finish(*files, session);
        if (s != KS_OK) {
            ks_close(files->store);
            return s;
        }
        *files_out = files.release();
        return KS_OK;
    });
}

void ks_files_close(ks_files* files) {
    if (files == nullptr || files->magic < abi::kFilesMagic || files->magic > abi::live(abi::kFilesMagic))
        return;
    files->magic = 0;
    ks_close(files->store);  // with its sessions; in a forked child its copy only
    files->store = nullptr;
    files->root = {};
    abi::retire(files);
}

ks_store* ks_files_store(ks_files* files) {
    ks_session* session = nullptr;
    return enter(files, &session) == KS_OK ? files->store : nullptr;
}
