// Where an engine works: a filled store, and what its processes share beside it.
#pragma once

#include <memory>

#include "rig/guarded_engines.hpp"

namespace keystile::bench {

template <class Engine>
class Place {
public:
    Place(const std::string& name, std::uint32_t keys, std::size_t value_bytes)
        : filled_(std::make_unique<Filled>(name + "-" + Engine::kName, keys, value_bytes)),
          ground_(std::make_unique<typename Engine::Ground>(*filled_)) {}
    // For the calling process, the rank-th that uses the place. Keystile's opens the store anew in each process, as
    // it must after a fork; the guarded ones live in inherited memory.
    std::shared_ptr<Engine> engine(unsigned rank) const { return std::make_shared<Engine>(*ground_, rank); }
    const typename Engine::Ground& ground() const noexcept { return *ground_; }

private:
    std::unique_ptr<Filled> filled_;
    std::unique_ptr<typename Engine::Ground> ground_;
};

}  // namespace keystile::bench
