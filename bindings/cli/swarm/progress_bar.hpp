// One line on standard error that is drawn over, if that is a terminal and nobody asked for quiet.
#pragma once

#include <cstdint>

#include "swarm/crew.hpp"

namespace keystile::cli::swarm {

class ProgressBar {
public:
    explicit ProgressBar(bool is_wanted);
    ~ProgressBar();  // wipes the line
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    void draw(uint64_t done, uint64_t all, const Crew& crew);

private:
    bool is_on_;
    uint64_t drawn_at_ns_ = 0;
};

}  // namespace keystile::cli::swarm
