// The end by SIGTERM or SIGINT as a file descriptor that becomes readable.
#pragma once

namespace keystile::mcp {

// Blocks both for this thread and those it starts from now on; made before any thread is.
class EndSignals {
public:
    EndSignals();
    ~EndSignals();
    EndSignals(const EndSignals&) = delete;
    EndSignals& operator=(const EndSignals&) = delete;

    int fd() const { return fd_; }
    void wait() const;

private:
    int fd_;
};

}  // namespace keystile::mcp
