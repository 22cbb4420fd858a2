// What an execution shows, as the specs speak of it: when a call begins and what it is told, each change of what others
// can see (the words of the two keys, the claim of the first, who has which block, which session records are open), and
// who dies. engine/docs/EXPLORER.md says how specs/ compares it.
#pragma once

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "explore/world.hpp"

namespace keystile::explore {

class Tracer final : public Witness {
public:
    explicit Tracer(World& world);
    ~Tracer() override;

    void start();                  // of the next execution; it stands as World::begin() left it
    const nlohmann::json& stop();  // its events, in order
    void begins(int process, const char* goal, int key, engine::Stamp seen);
    void is_told(int process, engine::Status status);
    void changed(int process, std::size_t offset) override;
    void died(int process) override;

private:
    void find_places();
    nlohmann::json state() const;
    nlohmann::json session(int process) const;
    int owner(std::uint32_t session, std::uint32_t generation) const;

    World& world_;
    // Found before anything runs: to ask the engine is a step.
    struct Place {
        std::uint32_t number;  // the slot's or the block's ref, the session's index
        std::size_t offset;
    };
    std::vector<Place> words_, blocks_, sessions_;  // blocks: all of the size that the values have
    Place claim_{};
    std::unordered_set<std::size_t> offsets_;
    bool is_on_ = false;
    nlohmann::json last_, events_;
};

}  // namespace keystile::explore
