// Commits of files: one, many, or what another program wrote.
#pragma once

#include <string_view>
#include <vector>

#include "files.hpp"

namespace keystile::engine::files {

inline bool is_foreign(const Scene& scene) noexcept {
    return scene.standing == Standing::kForeign || scene.standing == Standing::kUntracked;
}

// A change of one path among many, and what came of it.
struct Edit {
    FilePath path;
    std::string_view data;
    std::uint32_t flags = 0;
    std::uint32_t mode = kKeepMode;
    ks_stamp seen{};
    const ks_grant* grant = nullptr;
    Scene scene;
    Stored next;
    ks_status status = KS_OK;
    ks_stamp stamp{};
    ks_owner owner{};

    static constexpr std::uint32_t kKeepMode = ~0u;
};

// As ks_files_write, ks_files_remove; receipt_out is not NULL.
ks_status write_one(ks_files& files, ks_session* session, Edit& edit, ks_receipt* receipt_out);
// As ks_files_publish.
ks_status publish(ks_files& files, ks_session* session, std::vector<Edit>& edits, std::uint64_t* lsn_out);

// Commit what is on disk as the path's content. KS_OK: scene_out is clean now, or nothing.
ks_status adopt(ks_files& files, ks_session* session, const FilePath& path, const ks_grant* grant,
                bool is_durable, Scene* scene_out, ks_receipt* receipt_out);

// The changes of a call, each path once. KS_E_PATH · KS_E_ARGUMENT · KS_E_VALUE_SIZE. Throws bad_alloc.
ks_status read_changes(const ks_files_change* changes, std::size_t count, std::vector<Edit>* edits_out);
void tell_changes(const std::vector<Edit>& edits, ks_files_change* changes) noexcept;

}  // namespace keystile::engine::files
