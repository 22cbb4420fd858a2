// What an execution shows, as the specs speak of it: when a call begins and what it is told, each change of what others
// can see (the words of the two keys, the claim of the first, who has which block), and who dies. engine/docs/EXPLORER.md
// says how specs/ compares it.
#pragma once

#include <nlohmann/json.hpp>
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
    void changed(int process) override;
    void died(int process) override;

private:
    void find_blocks();
    nlohmann::json state() const;
    int owner(std::uint32_t session, std::uint32_t generation) const;

    World& world_;
    std::vector<engine::Ref> blocks_;  // all of the size that the values have
    bool is_on_ = false;
    nlohmann::json last_, events_;
};

}  // namespace keystile::explore
