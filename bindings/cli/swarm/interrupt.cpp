#include "swarm/interrupt.hpp"

namespace keystile::cli::swarm {
namespace {

volatile std::sig_atomic_t came = 0;

void note_signal(int number) {
    came = number;
}

}  // namespace

Interrupt::Interrupt() {
    came = 0;
    struct sigaction action{};
    action.sa_handler = note_signal;
    sigemptyset(&action.sa_mask);
    for (size_t index = 0; index < sizeof kSignals / sizeof kSignals[0]; ++index) {
        sigaction(kSignals[index], &action, &before_[index]);
        if (before_[index].sa_handler == SIG_IGN) {  // nohup: stays ignored
            sigaction(kSignals[index], &before_[index], nullptr);
        }
    }
}

Interrupt::~Interrupt() {
    for (size_t index = 0; index < sizeof kSignals / sizeof kSignals[0]; ++index) {
        sigaction(kSignals[index], &before_[index], nullptr);
    }
}

int Interrupt::signal_number() const {
    return came;
}

}  // namespace keystile::cli::swarm
