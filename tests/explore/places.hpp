// What lies where, in words: for replays.
#pragma once

#include <string>

#include "segment/segment.hpp"

namespace keystile::explore {

std::string name_of_place(const engine::Segment& segment, std::size_t offset);

}  // namespace keystile::explore
