#include "support/power_loss.hpp"

#if defined(KEYSTILE_CHECKED)

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace keystile::testing {

using engine::DiskCall;
using engine::DiskStep;

namespace {

constexpr std::size_t kSectorBytes = 512;

PowerLoss* watching = nullptr;

void put(std::string& bytes, const std::pair<std::size_t, std::string>& write) {
    bytes.resize(std::max(bytes.size(), write.first + write.second.size()));
    bytes.replace(write.first, write.second.size(), write.second);
}

bool is_change(DiskCall call) {
    return call != DiskCall::kOpen && call != DiskCall::kRead && call != DiskCall::kList &&
           call != DiskCall::kFileSystem;
}

}  // namespace

PowerLoss::PowerLoss(std::string folder) : folder_(std::move(folder)) {
    watching = this;
    checked::on_disk = &PowerLoss::on_disk;
}

PowerLoss::~PowerLoss() {
    checked::on_disk = nullptr;
    watching = nullptr;
}

int PowerLoss::on_disk(DiskStep& step) {
    PowerLoss& self = *watching;
    const std::lock_guard guard(self.mutex_);
    if (self.is_looking_ || !is_change(step.call)) return 0;
    self.is_looking_ = true;
    const int error = self.before_step ? self.before_step(step) : 0;
    self.is_looking_ = false;
    error == 0 ? self.note(step) : self.note_failure(step);
    return error;
}

void PowerLoss::apply(Names& names, const Change& change) {
    if (change.call == DiskCall::kRename || change.call == DiskCall::kUnlink) names.erase(change.path);
    if (change.call == DiskCall::kCreate) names[change.path] = change.node;
    if (change.call == DiskCall::kRename || change.call == DiskCall::kLink) names[change.to] = change.node;
}

void PowerLoss::note(const DiskStep& step) {
    switch (step.call) {
        case DiskCall::kWrite: {
            Node& node = *opened_.at(step.path);
            node.written.emplace_back(step.offset,
                                      std::string(static_cast<const char*>(step.data), step.bytes));
            put(node.now, node.written.back());
            break;
        }
        case DiskCall::kSync:
        case DiskCall::kSyncData: {
            Node& node = *opened_.at(step.path);
            for (const auto& write : node.written) put(node.on_disk, write);
            node.written.clear();
            break;
        }
        case DiskCall::kSyncFolder:
            if (step.path != folder_) break;
            on_disk_names_ = now_;
            changes_.clear();
            break;
        case DiskCall::kMakeFolder:
            break;
        default: {
            Change change{step.call, step.path, step.to != nullptr ? step.to : "", nullptr};
            const bool is_there = now_.count(change.path) != 0;
            if (step.call == DiskCall::kCreate) {
                if (is_there) break;  // it is going to fail
                change.node = std::make_shared<Node>();
            } else {
                if (!is_there || (step.call == DiskCall::kLink && now_.count(change.to) != 0)) break;
                change.node = now_[change.path];
            }
            apply(now_, change);
            changes_.push_back(change);
            for (const auto& [name, node] : now_) opened_[name] = node;
        }
    }
}

void PowerLoss::note_failure(const DiskStep& step) {
    if (step.call == DiskCall::kSync || step.call == DiskCall::kSyncData)
        opened_.at(step.path)->written.clear();
}

void PowerLoss::rebuild(const std::string& to, Dice& dice) const {
    Names names = on_disk_names_;
    const std::size_t kept = dice.roll(changes_.size() + 1);
    const bool is_in_order = dice.one_in(2);
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        if (is_in_order ? i < kept : dice.one_in(2)) apply(names, changes_[i]);
    }
    std::filesystem::remove_all(to);
    std::filesystem::create_directories(to);
    for (const auto& [name, node] : names) {
        std::string bytes = node->on_disk;
        bytes.resize(dice.one_in(2) ? node->now.size() : std::min(node->on_disk.size(), node->now.size()));
        const bool is_all = dice.one_in(4), is_none = dice.one_in(4);
        for (std::size_t at = 0; at < bytes.size() && !is_none; at += kSectorBytes) {
            if (is_all || dice.one_in(2))
                bytes.replace(at, kSectorBytes, node->now, at, std::min(kSectorBytes, bytes.size() - at));
        }
        std::ofstream(to + name.substr(folder_.size()), std::ios::binary) << bytes;
    }
}

}  // namespace keystile::testing

#endif
