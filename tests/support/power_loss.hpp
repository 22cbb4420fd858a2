// What a folder may look like after the power went, at any call into the file system (the checked flavour only).
//
// Watches the journal layer's calls (checked::on_disk) and keeps for each file what it has, and what of that is on
// disk for sure. A sync that fails leaves what was to be synced in memory for good: no later one cares for it, as in a
// kernel that drops the mark of a page it could not write. After a loss each 512 bytes that are in memory alone are
// there or not, each on its own; a file is as long as it was or as it is; each name that was made, moved or removed
// since the folder's last sync is or is not, in their order up to some moment or each on its own. One folder at a
// time, threads welcome.
#pragma once

#if defined(KEYSTILE_CHECKED)

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "journal/journal.hpp"
#include "stress/dice.hpp"

namespace keystile::testing {

class PowerLoss {
public:
    // From now on. The folder is empty, or not there yet.
    explicit PowerLoss(std::string folder);
    PowerLoss(const PowerLoss&) = delete;
    PowerLoss& operator=(const PowerLoss&) = delete;
    ~PowerLoss();

    // Called before every call that changes something; what it does itself is not watched. Its answer is the errno that
    // the call fails with, 0 = none.
    std::function<int(const engine::DiskStep&)> before_step;

    // Make `to` what the folder may be now.
    void rebuild(const std::string& to, Dice& dice) const;

private:
    struct Node {
        std::string now, on_disk;
        std::vector<std::pair<std::size_t, std::string>> written;  // since the last attempt to sync
    };
    using Names = std::map<std::string, std::shared_ptr<Node>>;
    struct Change {
        engine::DiskCall call;
        std::string path, to;
        std::shared_ptr<Node> node;  // what gets a name by it
    };

    static int on_disk(engine::DiskStep& step);
    void note(const engine::DiskStep& step);
    void note_failure(const engine::DiskStep& step);
    static void apply(Names& names, const Change& change);

    std::string folder_;
    Names now_, on_disk_names_;
    std::map<std::string, std::shared_ptr<Node>> opened_;  // by every name a file ever had
    std::vector<Change> changes_;                          // of names, since the folder's last sync
    std::recursive_mutex mutex_;
    bool is_looking_ = false;
};

}  // namespace keystile::testing

#endif
