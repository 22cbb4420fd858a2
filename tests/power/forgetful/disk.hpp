// A disk with one flat folder that forgets what was not synced, and that can fail one sync and be silent ever after.
//
// For each file: what it has (whoever reads sees that), and what of it is on disk. A sync puts what was written since
// the last attempt there. One that fails does not, and no later one will: the pages count as clean, and whether they
// still show what was written is up to chance, as it is among real file systems. Names are on disk when the folder was
// synced since. When the power goes, each sector that is in memory alone is there or not; a file is as long as it is
// or as it was; of the names made, moved and removed since, those up to some moment are kept, or some of all.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "stress/dice.hpp"

namespace keystile::power {

class ForgetfulDisk {
public:
    struct File {
        std::uint64_t number = 0;  // of the file, for good
        unsigned mode = 0600;
        unsigned links = 0;
        std::string now, on_disk;
        std::vector<std::pair<std::size_t, std::string>> written;  // since the last attempt to sync
    };
    using FileRef = std::shared_ptr<File>;

    explicit ForgetfulDisk(std::uint64_t seed) : dice_(seed) {}

    // All of a real folder's files, on disk.
    void load(const std::string& folder);
    // The power goes: what is left, as a real folder, made new.
    void lose_power(const std::string& folder);

    const std::map<std::string, FileRef>& names() const { return now_; }
    FileRef find(const std::string& name) const;  // or none

    // 0 or an errno.
    int create(const std::string& name, unsigned mode, FileRef* file_out);
    int link(const std::string& from, const std::string& to);
    int rename(const std::string& from, const std::string& to);
    int unlink(const std::string& name);
    static void write(File& file, std::size_t offset, const char* from, std::size_t bytes);
    static void resize(File& file, std::size_t bytes);
    static void sync(File& file);
    void fail_sync(File& file);
    void sync_names();

private:
    using Names = std::map<std::string, FileRef>;
    // `file` gets the name, or (nullptr) nobody has it.
    struct Change {
        std::string name;
        FileRef file;
    };

    void change(std::vector<Change> changes);
    std::string remains_of(const File& file);

    testing::Dice dice_;
    Names now_, on_disk_;
    std::vector<std::vector<Change>> changes_;  // since the folder's last sync; each whole or not at all
    std::uint64_t files_ = 1;
};

}  // namespace keystile::power
