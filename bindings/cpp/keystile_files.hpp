// The plain files of a folder. Beside keystile.hpp; keystile_files.h has the contract.
//
//     auto files = keystile::Files::open("/srv/team");
//     files.update("plan.md", [](std::string_view old) { return std::string(old) + "- done\n"; }).throw_if_fault();
//
// Answers are values, as everywhere here; Outcome::foreign_edit: another program wrote the file.
#pragma once

#include <keystile_files.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "keystile_values.hpp"

namespace keystile::inline v0 {

struct FilesOpened;

// An open root. Copies are the same one; it closes with the last. All threads may use it at once.
class Files {
public:
    // One path of a publish. Made by write(), remove() or expect() below.
    struct Change {
        std::string path;
        std::string content;
        Stamp seen;
        std::uint32_t flags = 0;

        static Change write(std::string path, std::string content, Stamp seen) {
            return {std::move(path), std::move(content), seen, 0};
        }
        static Change remove(std::string path, Stamp seen) {
            return {std::move(path), {}, seen, KS_FILES_REMOVE};
        }
        static Change expect(std::string path, Stamp seen) {
            return {std::move(path), {}, seen, KS_FILES_EXPECT};
        }
    };
    // ok: all of them, with their new stamps. Else none, and each status says whether its path stood in the way.
    struct [[nodiscard]] Published : Result {
        struct Told {
            ks_status status = KS_OK;
            Stamp stamp;
        };
        std::vector<Told> changes;
    };

    Files() noexcept = default;

    // `root` exists; its store is the durable one in root/.keystile. Throws Error.
    static Files open(const std::string& root);
    static FilesOpened try_open(const std::string& root);

    // ok, not_found (the stamp creates it), foreign_edit.
    [[nodiscard]] Read read(const std::string& path) const {
        Read seen;
        std::size_t size = 0;
        do {
            seen.value.resize(size);
            seen.status =
                ks_files_read(get(), spelt(path), seen.value.data(), seen.value.size(), &size, &seen.stamp);
        } while (seen.status == KS_TOO_SMALL);
        seen.value.resize(seen.ok() ? size : 0);
        return seen;
    }
    Receipt write(const std::string& path, Bytes content, Stamp seen) const {
        ks_receipt told{};
        return receipt_of(ks_files_write(get(), spelt(path), content, seen, nullptr, &told), told);
    }
    Receipt remove(const std::string& path, Stamp seen) const {
        ks_receipt told{};
        return receipt_of(ks_files_remove(get(), spelt(path), seen, nullptr, &told), told);
    }
    // Read, compute, write, until it wins, is held, or another program's edit is in the way. fn(old content) gives the
    // new one; it is called again after each loss.
    template <class Fn>
    Receipt update(const std::string& path, Fn&& fn) const {
        for (;;) {
            const Read seen = read(path);
            if (!seen.ok() && seen.status != KS_NOT_FOUND) {
                Receipt refused;
                refused.status = seen.status;
                refused.stamp = seen.stamp;
                return refused;
            }
            const std::string content = fn(std::string_view(seen.value));
            Receipt told = write(path, content, seen.stamp);
            if (told.status != KS_CONFLICT && told.status != KS_FENCED) return told;
        }
    }
    Published publish(const std::vector<Change>& changes) const {
        std::vector<ks_files_change> given;
        given.reserve(changes.size());
        for (const Change& change : changes) {
            ks_files_change one{};
            one.path = spelt(change.path);
            one.data = Bytes(change.content);
            one.seen = change.seen;
            one.flags = change.flags;
            given.push_back(one);
        }
        Published told;
        told.status = ks_files_publish(get(), given.data(), given.size(), nullptr);
        for (const ks_files_change& one : given) told.changes.push_back({one.status, one.stamp});
        return told;
    }
    Receipt adopt(const std::string& path) const {
        ks_receipt told{};
        return receipt_of(ks_files_adopt(get(), spelt(path), nullptr, &told), told);
    }
    Receipt restore(const std::string& path) const {
        ks_receipt told{};
        return receipt_of(ks_files_restore(get(), spelt(path), &told), told);
    }

    // For the calls of keystile_files.h. NULL if it was not opened.
    [[nodiscard]] ks_files* get() const noexcept { return files_.get(); }

private:
    // A path with a zero character in it is none; C would take it for the shorter one. The empty path is KS_E_PATH.
    static const char* spelt(const std::string& path) {
        return path.find('\0') == std::string::npos ? path.c_str() : "";
    }
    static Receipt receipt_of(ks_status status, const ks_receipt& told) {
        Receipt receipt;
        receipt.status = status;
        receipt.stamp = told.stamp;
        receipt.lsn = told.lsn;
        receipt.owner = told.owner;
        return receipt;
    }

    std::shared_ptr<ks_files> files_;
};

struct [[nodiscard]] FilesOpened : Result {
    Files files;
};

inline FilesOpened Files::try_open(const std::string& root) {
    FilesOpened opened;
    ks_files* files = nullptr;
    opened.status = ks_files_open(Files::spelt(root), nullptr, &files);
    if (opened.ok()) opened.files.files_ = std::shared_ptr<ks_files>(files, ks_files_close);
    return opened;
}

inline Files Files::open(const std::string& root) {
    FilesOpened opened = try_open(root);
    if (!opened) throw Error::last(opened.status);
    return std::move(opened.files);
}

}  // namespace keystile::inline v0
