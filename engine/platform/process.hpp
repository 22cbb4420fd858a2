// Who a process is, and whether it still lives.
#pragma once

#include <cstdint>
#include <string>

namespace keystile::engine {

// Read once per process and kept (again after a fork): reading /proc takes longer than attaching does.
struct ProcessIdentity {
    std::int32_t pid = 0;
    std::uint64_t start_ticks = 0;    // since boot; with the pid it names a process for the boot's life
    std::uint64_t pid_namespace = 0;  // inode numbers; 0 = cannot be read
    std::uint64_t time_namespace = 0;
    std::uint64_t boot_id[2] = {0, 0};
    std::string program;
};

const ProcessIdentity& self() noexcept;

// Does the process (pid, started then, in our pid namespace) exist and run? A zombie has no code left to run:
// it is gone.
bool is_process_running(std::int32_t pid, std::uint64_t start_ticks) noexcept;

// Unpredictable bits, for store ids, hash seeds and nonces.
std::uint64_t random_bits() noexcept;

}  // namespace keystile::engine
