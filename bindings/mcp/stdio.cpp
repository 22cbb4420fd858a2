// The transport of standard input and output: one message a line, both ways; nothing else is written there.
//
// One thread reads, and answers; a call that waits (a claim's wait_seconds) gets a thread of its own, so that others
// are answered meanwhile and it can be cancelled. At the end of the input, or by a signal, what waits is stopped; what
// writes is finished first.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <list>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "json_rpc.hpp"
#include "mcp.hpp"
#include "server.hpp"
#include "signals.hpp"
#include "workspace.hpp"

namespace keystile::mcp {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kWaitingMax = 64;  // calls that wait at once; further ones are told to come later

// Lines of standard input, with their end taken off.
class Input {
public:
    explicit Input(int end_fd) : end_fd_(end_fd) {}

    enum class Next { line, too_long, end };

    Next next(std::string& line) {
        line.clear();
        bool is_too_long = false;
        for (;;) {
            const size_t at = buffer_.find('\n', searched_);
            if (at != std::string::npos) {
                line.assign(buffer_, 0, at);
                buffer_.erase(0, at + 1);
                searched_ = 0;
                if (line.ends_with('\r')) line.pop_back();
                return is_too_long ? Next::too_long : Next::line;
            }
            searched_ = buffer_.size();
            if (buffer_.size() > kMessageSizeMax) {  // read on to its end, so that the next line is one
                is_too_long = true;
                buffer_.clear();
                buffer_.shrink_to_fit();
                searched_ = 0;
            }
            if (!fill()) return Next::end;
        }
    }

private:
    // False at the end of the input, and when a signal ended it.
    bool fill() {
        for (;;) {
            pollfd both[2] = {{STDIN_FILENO, POLLIN, 0}, {end_fd_, POLLIN, 0}};
            if (poll(both, 2, -1) < 0) {
                if (errno == EINTR) continue;
                return false;
            }
            if (both[1].revents != 0) return false;
            char bytes[kReadBytes];
            const ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
            if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (size <= 0) return false;
            buffer_.append(bytes, static_cast<size_t>(size));
            return true;
        }
    }

    int end_fd_;
    std::string buffer_;
    size_t searched_ = 0;  // no line ends before it
};

class Output {
public:
    explicit Output(int end_fd) : end_fd_(end_fd) {}

    // One message, whole, unless nobody reads any more: then false from now on.
    bool write_line(const Json& message) {
        std::string line = text_of(message);
        line += '\n';
        const std::lock_guard guard(mutex_);
        for (std::string_view left = line; is_open_ && !left.empty();) is_open_ = write_some(left);
        return is_open_;
    }

private:
    // A reader that does not read must not keep us from ending: no more than PIPE_BUF bytes at once never block after
    // POLLOUT.
    bool write_some(std::string_view& left) const {
        pollfd both[2] = {{STDOUT_FILENO, POLLOUT, 0}, {end_fd_, POLLIN, 0}};
        if (poll(both, 2, -1) < 0) return errno == EINTR;
        if (both[0].revents == 0) return false;  // a signal, and no reader
        const size_t most = std::min<size_t>(left.size(), PIPE_BUF);
        const ssize_t size = write(STDOUT_FILENO, left.data(), most);
        if (size < 0) return errno == EINTR || errno == EAGAIN;
        left.remove_prefix(static_cast<size_t>(size));
        return true;
    }

    int end_fd_;
    std::mutex mutex_;
    bool is_open_ = true;
};

// Calls that wait, each in its thread. Used by the reading thread alone, but for the flags.
class WaitingCalls {
public:
    WaitingCalls(const Server& server, Output& output) : server_(server), output_(output) {}
    ~WaitingCalls() {
        for (Waiting& call : calls_) call.thread.request_stop();
    }

    // False: too many wait already, or the system has no thread for it; `message` is as it was.
    bool start(const Json& message, const Peer& peer) {
        calls_.remove_if([](const Waiting& call) { return call.is_done.load(); });
        if (calls_.size() >= kWaitingMax) return false;
        Waiting& call = calls_.emplace_back();
        call.id = id_in(message);
        try {
            run(call, message, peer);
        } catch (const std::system_error&) {
            calls_.pop_back();
            return false;
        }
        return true;
    }

    void cancel(const Json& id) {
        for (Waiting& call : calls_) {
            if (call.id == id) call.thread.request_stop();
        }
    }

private:
    struct Waiting {
        Json id;
        std::atomic<bool> is_done = false;
        std::jthread thread;  // the last member: joined before the others go
    };

    void run(Waiting& call, const Json& message, const Peer& peer) {
        call.thread = std::jthread([this, &call, asked = message, peer](const std::stop_token& stop) {
            Peer own = peer;
            const std::optional<Json> answer =
                server_.answer(asked, own, [&] { return stop.stop_requested(); });
            if (answer) output_.write_line(*answer);
            call.is_done = true;
        });
    }

    const Server& server_;
    Output& output_;
    std::list<Waiting> calls_;
};

// The id that `notifications/cancelled` names; nullptr: the message is another.
const Json* cancelled_id(const Json& message) {
    if (!message.is_object() || message.contains("id")) return nullptr;
    const auto method = message.find("method"), params = message.find("params");
    if (method == message.end() || *method != "notifications/cancelled") return nullptr;
    if (params == message.end() || !params->is_object()) return nullptr;
    const auto id = params->find("requestId");
    return id == params->end() ? nullptr : &*id;
}

class Conversation {
public:
    Conversation(const Server& server, Output& output)
        : server_(server), output_(output), waiting_(server, output) {}

    // False: nobody reads our answers any more.
    bool take(std::string_view line) {
        if (line.find_first_not_of(" \t") == std::string_view::npos) return true;
        try {
            return take_message(parse(line));
        } catch (const RpcError& error) {
            return output_.write_line(error_message(nullptr, error));
        } catch (const std::bad_alloc&) {
            return output_.write_line(
                error_message(nullptr, {RpcCode::internal_error, "the server is out of memory"}));
        }
    }

private:
    bool take_message(Json message) {
        if (const Json* const id = cancelled_id(message)) {
            waiting_.cancel(*id);
            return true;
        }
        if (may_wait(message)) {
            if (waiting_.start(message, peer_)) return true;
            wait_no_longer(message);
        }
        const std::optional<Json> answer = server_.answer(message, peer_);
        return !answer || output_.write_line(*answer);
    }

    const Server& server_;
    Output& output_;
    Peer peer_;
    WaitingCalls waiting_;
};

}  // namespace

void serve_stdio(const std::string& root) {
    const EndSignals signals;
    const Workspace workspace(root);
    const Server server(workspace);
    Input input(signals.fd());
    Output output(signals.fd());
    Conversation conversation(server, output);
    std::string line;
    for (bool goes_on = true; goes_on;) {
        switch (input.next(line)) {
            case Input::Next::line:
                goes_on = conversation.take(line);
                break;
            case Input::Next::too_long:
                goes_on = output.write_line(
                    error_message(nullptr, {RpcCode::invalid_request, "the message is longer than 97 MiB"}));
                break;
            case Input::Next::end:
                return;  // also of a line without an end: half a message is none
        }
    }
}

}  // namespace keystile::mcp
