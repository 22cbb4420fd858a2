// Ctrl-C and its like, noticed instead of obeyed, so that the workers and the temporary store are cleared
// away first.
#pragma once

#include <csignal>
#include <cstddef>

namespace keystile::cli::swarm {

class Interrupt {
public:
    Interrupt();
    ~Interrupt();  // puts the handlers back
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    int signal_number() const;  // 0 = none came

private:
    static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction before_[sizeof kSignals / sizeof kSignals[0]]{};
};

}  // namespace keystile::cli::swarm
