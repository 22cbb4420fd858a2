// What an execution did that others can see, as the specs speak of it: the words of the two keys, the claim of the first,
// who has which block, after each change; what each process was answered; who died. specs/traces.py makes of it what TLC
// replays.
#pragma once

#include <string>
#include <vector>

#include "explore/world.hpp"

namespace keystile::explore {

class Tracer {
public:
    explicit Tracer(World& world);
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;
    ~Tracer();

    void start();  // of the next execution; it stands as begin() left it
    void stop();   // what follows is the judge's
    void begins(int process, const char* goal);
    void ends(int process, engine::Status status);
    void changed();
    void died(int process);

    // One line of JSON. Executions that look the same have the same.
    std::string text() const;

private:
    std::string state() const;
    std::string owner(std::uint32_t session) const;
    void find_blocks();

    World& world_;
    std::vector<engine::Ref> blocks_;  // all of the size that the values have
    bool is_on_ = false;
    std::string start_, last_, events_;
    std::array<std::string, kProcessesMax> goals_;
};

}  // namespace keystile::explore
