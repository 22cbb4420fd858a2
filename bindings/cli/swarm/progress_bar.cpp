#include "swarm/progress_bar.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "swarm/store.hpp"

namespace keystile::cli::swarm {
namespace {

constexpr uint64_t kRedrawNs = 50'000'000;
constexpr uint64_t kBarWidth = 36;
constexpr const char* kWipe = "\r\x1b[K";

}  // namespace

ProgressBar::ProgressBar(bool is_wanted) : is_on_(is_wanted && isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
    if (is_on_) {
        fmt::print(stderr, "{}", kWipe);
        std::fflush(stderr);
    }
}

void ProgressBar::draw(uint64_t done, uint64_t all, const Crew& crew) {
    const uint64_t now_ns = monotonic_ns();
    if (!is_on_ || now_ns - drawn_at_ns_ < kRedrawNs) {
        return;
    }
    drawn_at_ns_ = now_ns;
    const uint64_t filled = std::min(kBarWidth, all == 0 ? 0 : done * kBarWidth / all);
    fmt::print(stderr, "{}[{}{}] {}/{} chunks  {} running", kWipe, std::string(filled, '#'),
               std::string(kBarWidth - filled, '.'), done, all, crew.count(Condition::running));
    for (const auto& [condition, word] :
         {std::pair{Condition::frozen, "stopped"}, {Condition::killed, "killed"}}) {
        if (const uint32_t count = crew.count(condition); count != 0) {
            fmt::print(stderr, "  {} {}", count, word);
        }
    }
    std::fflush(stderr);
}

}  // namespace keystile::cli::swarm
