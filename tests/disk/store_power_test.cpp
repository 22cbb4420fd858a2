// A whole store under loss of power and kill: at every call into the file system, whatever is on disk by then, what a
// recovery reads is the state after some prefix of the commits, one that holds all that was acknowledged. While a
// checkpoint is made, and what it replaces goes.
#include <algorithm>
#include <map>
#include <utility>

#include "disk/journal_support.hpp"
#include "disk/opener.hpp"
#include "support/power_loss.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

using State = std::map<std::string, std::string>;

// What a recovery of this directory comes to.
struct Recovered final : HistoryVisitor {
    Status on_checkpoint_entry(const EntryView& entry) noexcept override {
        put(entry, entry.head.version);
        return Status::kOk;
    }
    Status on_entry(const RecordHead& record, const EntryView& entry) noexcept override {
        put(entry, record.position);
        return Status::kOk;
    }
    void put(const EntryView& entry, Position version) {
        const std::string key(reinterpret_cast<const char*>(entry.key), entry.head.key_size);
        if (versions[key] >= version) return;
        versions[key] = version;
        if (entry.is_deleted()) {
            state.erase(key);
        } else {
            state[key].assign(reinterpret_cast<const char*>(entry.value), entry.head.value_size);
        }
    }
    std::map<std::string, Position> versions;
    State state;
};

class StorePower {
public:
    StorePower() : power_(folder_.path()) {
        states_.push_back({});
        power_.before_step = [this](const DiskStep& step) {
            ++steps_;
            if (wrong_.empty()) {
                wrong_ = judge_step();
                if (!wrong_.empty()) wrong_ += " before step " + std::to_string(steps_) + ", " + step.path;
            }
            if (!wrong_.empty()) return ECANCELED;
            return fault_ ? fault_(step) : 0;
        };
    }

    Opener& open() {
        EXPECT_EQ(opener_.open(folder_.path(), segments_.path()), Status::kOk) << wrong_;
        return opener_;
    }
    void put(const std::string& key, const std::string& value) {
        states_.push_back(states_.back());
        states_.back()[key] = value;
        EXPECT_EQ(opener_.put(key, value), Status::kOk) << wrong_;
    }
    void remove(const std::string& key) {
        states_.push_back(states_.back());
        states_.back().erase(key);
        EXPECT_EQ(opener_.remove(key), Status::kOk) << wrong_;
    }
    void flush() {
        EXPECT_EQ(opener_.flush_all(), Status::kOk) << wrong_;
        acknowledged_ = states_.size() - 1;
    }
    void checkpoint() {
        const std::size_t before = states_.size() - 1;
        EXPECT_EQ(make_checkpoint(opener_.store), Status::kOk) << wrong_;
        acknowledged_ = std::max(acknowledged_, before);
    }
    void fail(std::function<int(const DiskStep&)> fault) { fault_ = std::move(fault); }
    // Journal files left, and checkpoints.
    std::size_t count(const std::string& kind) const {
        std::size_t n = 0;
        for (const std::string& name : folder_.names()) n += name.starts_with(kind) ? 1 : 0;
        return n;
    }
    int steps() const { return steps_; }
    const std::string& wrong() const { return wrong_; }

private:
    // Everybody is killed here, and then the power goes, this way and that.
    std::string judge_step() {
        std::string wrong = judge(folder_.path());
        for (std::uint64_t i = 0; i < losses_ && wrong.empty(); ++i) {
            Dice dice(seed_ + static_cast<std::uint64_t>(steps_) * 1000 + i);
            power_.rebuild(after_.path(), dice);
            wrong = judge(after_.path());
        }
        return wrong;
    }

    std::string judge(const std::string& path) const {
        Directory directory;
        DirectoryOptions options;
        options.must_exist = true;
        options.is_read_only = true;
        if (Directory::open(path, options, &directory) != Status::kOk)
            return acknowledged_ == 0 ? "" : "the directory is gone";
        Recovered recovered;
        HistoryEnd end;
        const Status s = scan_history(directory, ScanScope::kReplay, recovered, &end);
        if (s == Status::kNoStore && acknowledged_ == 0) return "";
        if (s != Status::kOk)
            return "status " + std::to_string(static_cast<int>(s)) +
                   (end.damage.is_none() ? "" : std::string(": ") + end.damage.damage.what);
        for (std::size_t i = acknowledged_; i < states_.size(); ++i) {
            if (states_[i] == recovered.state) return "";
        }
        return "no prefix that holds what was acknowledged";
    }

    Folder folder_, segments_, after_;
    Opener opener_;
    PowerLoss power_;
    std::uint64_t seed_ = number_from_env("KEYSTILE_SEED", 20260102);
    std::uint64_t losses_ = number_from_env("KEYSTILE_LOSSES", 2);
    std::vector<State> states_;  // after each commit
    std::size_t acknowledged_ = 0;
    std::function<int(const DiskStep&)> fault_;
    std::string wrong_;
    int steps_ = 0;
};

TEST(StorePower, NothingAcknowledgedIsLostWhileCheckpointsReplaceTheJournal) {
    StorePower t;
    t.open();
    // Two of them fill the first file, so that a checkpoint begins where none is yet; and a checkpoint's buffer.
    const std::string large(550'000, 'x');
    for (int round = 0; round < 3; ++round) {
        const std::string number = std::to_string(round);
        for (int i = 0; i < 20; ++i) t.put("small " + std::to_string(i), number);
        for (const char* key : {"large a", "large b"}) t.put(key, large + number);
        t.flush();
        if (round == 0) t.checkpoint();  // the next file is named, and not made
        // Between one key's entry and the next all of them change.
        bool is_first = true;
        t.fail([&](const DiskStep& step) {
            const bool is_checkpoint = std::string(step.path).find("/.checkpoint-") != std::string::npos;
            if (step.call != DiskCall::kWrite || !is_checkpoint || !std::exchange(is_first, false)) return 0;
            for (int i = 19; i >= 0; --i) t.put("small " + std::to_string(i), number + " changed");
            t.remove("large a");
            return 0;
        });
        t.checkpoint();
        t.fail(nullptr);
    }
    EXPECT_EQ(t.wrong(), "");
    EXPECT_GT(t.steps(), 40);
    EXPECT_EQ(t.count("checkpoint-"), 2u);
    EXPECT_EQ(t.count("journal-000001"), 0u) << "nothing replaced it";
}

TEST(StorePower, NothingAcknowledgedIsLostWhenTheDiskSaysNo) {
    for (const DiskCall failing : {DiskCall::kSyncData, DiskCall::kWrite}) {
        StorePower t;
        Opener& opener = t.open();
        for (int round = 0; round < 5; ++round) {
            t.put("k", std::to_string(round));
            bool has_failed = false;
            t.fail([&](const DiskStep& step) {
                if (step.call != failing || has_failed ||
                    std::string(step.path).find("/journal-") == std::string::npos)
                    return 0;
                has_failed = true;
                return EIO;
            });
            EXPECT_NE(opener.flush_all(), Status::kOk);
            t.put("l", std::to_string(round));
            t.flush();
            if (round % 2 == 1) t.checkpoint();
        }
        EXPECT_EQ(t.wrong(), "");
    }
}

}  // namespace

}  // namespace keystile::testing
