// A schedule: everything in which an execution differs from "each process in turn, to its end".
//
// Written 41s1.2: at step 41 the running process is left with the oldest 2 of its pending stores visible, and
// process 1 goes on. 52d0.1: the oldest pending store of process 0 becomes visible late, just now. 60c.3: the
// running process dies, 3 of its pending stores survive. A step is an access to shared memory, or an end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keystile::explore {

enum class Act : std::uint8_t { kGoOn, kSwitch, kDrain, kCrash };

struct Decision {
    std::uint32_t step = 0;
    Act act = Act::kGoOn;
    std::uint8_t process = 0;
    std::uint8_t stores = 0;
    friend bool operator==(const Decision&, const Decision&) = default;
};

using Schedule = std::vector<Decision>;

std::string to_text(const Schedule& schedule);
std::optional<Schedule> schedule_from(std::string_view text);

// Who says which of several possible ways an execution takes. Way 0 is the one that is not written down.
class Chooser {
public:
    Chooser() = default;
    Chooser(const Chooser&) = delete;
    Chooser& operator=(const Chooser&) = delete;
    virtual ~Chooser() = default;
    virtual std::size_t choose(const Decision* ways, std::size_t count) = 0;
    // Is the next choice one that it makes for the first time, behind those that it repeats?
    virtual bool is_ahead() const { return false; }
    // Before this step it would take way 0 wherever a process accesses memory, and need not be asked.
    virtual std::uint32_t first_step() const { return 0; }
};

}  // namespace keystile::explore
