#include "signals.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "mcp.hpp"

namespace keystile::mcp {

EndSignals::EndSignals() : fd_(-1) {
    signal(SIGPIPE, SIG_IGN);  // a client that is gone is an error of write()
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    fd_ = signalfd(-1, &signals, SFD_CLOEXEC);
    if (fd_ < 0) throw Unusable(fmt::format("signalfd: {}", strerror(errno)));
}

EndSignals::~EndSignals() {
    close(fd_);
}

void EndSignals::wait() const {
    pollfd end{fd_, POLLIN, 0};
    while (poll(&end, 1, -1) < 0 && errno == EINTR) {
    }
}

}  // namespace keystile::mcp
