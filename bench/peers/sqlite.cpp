// SQLite in WAL mode: one UPDATE whose WHERE compares the version, a prepared statement, a connection for each thread.
// kLater: synchronous=NORMAL, on disk at the next checkpoint of its log.
#include <sqlite3.h>

#include "rig/peer.hpp"

namespace keystile::bench {
namespace {

constexpr int kBusyMs = 60'000;

void need_sqlite(bool is_true, sqlite3* connection) {
    if (is_true) return;
    std::fprintf(stderr, "bench: sqlite: %s\n", sqlite3_errmsg(connection));
    std::exit(1);
}

class Connection {
public:
    Connection(const std::string& file, Promise promise) {
        need_sqlite(sqlite3_open(file.c_str(), &connection_) == SQLITE_OK, connection_);
        sqlite3_busy_timeout(connection_, kBusyMs);
        run("PRAGMA journal_mode=WAL");
        run(promise == Promise::kNow ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    }
    ~Connection() { sqlite3_close(connection_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    sqlite3* get() const noexcept { return connection_; }
    void run(const char* sql) {
        need_sqlite(sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr) == SQLITE_OK, connection_);
    }

private:
    sqlite3* connection_ = nullptr;
};

// value, key, and, if it is compared, the version.
class Statement {
public:
    Statement(const Connection& at, const char* sql) : at_(at.get()) {
        need_sqlite(
            sqlite3_prepare_v3(at_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) == SQLITE_OK,
            at_);
    }
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    // How many rows it changed.
    int run(const KeyName& key, const std::uint64_t* version, const void* value, std::size_t size) {
        sqlite3_bind_blob(statement_, 1, value, static_cast<int>(size), SQLITE_STATIC);
        sqlite3_bind_blob(statement_, 2, &key, sizeof key, SQLITE_STATIC);
        if (version != nullptr) sqlite3_bind_int64(statement_, 3, static_cast<sqlite3_int64>(*version));
        need_sqlite(sqlite3_step(statement_) == SQLITE_DONE, at_);
        const int changes = sqlite3_changes(at_);
        sqlite3_reset(statement_);
        return changes;
    }

private:
    sqlite3* at_;
    sqlite3_stmt* statement_ = nullptr;
};

class Sqlite final : public Peer {
public:
    Sqlite(const std::string& folder, Promise promise)
        : file_(folder + "/store.db"), promise_(promise), connection_(file_, promise) {
        connection_.run("CREATE TABLE kv(key BLOB PRIMARY KEY, version INTEGER, value BLOB) WITHOUT ROWID");
    }

    std::unique_ptr<Seat> seat() override { return std::make_unique<Writer>(file_, promise_); }
    void create(const KeyName& key, const void* value, std::size_t size) override {
        Statement(connection_, "INSERT INTO kv(value, key, version) VALUES(?1, ?2, 0)")
            .run(key, nullptr, value, size);
    }

private:
    class Writer final : public Seat {
    public:
        Writer(const std::string& file, Promise promise) : connection_(file, promise) {}
        bool commit(const KeyName& key, std::uint64_t version, const void* value, std::size_t size) override {
            return update_.run(key, &version, value, size) == 1;
        }

    private:
        Connection connection_;
        Statement update_{connection_,
                          "UPDATE kv SET value = ?1, version = version + 1 WHERE key = ?2 AND version = ?3"};
    };

    std::string file_;
    Promise promise_;
    Connection connection_;
};

[[maybe_unused]] const bool is_added =
    add_peer({"sqlite", [](const std::string& folder, Promise promise) -> std::unique_ptr<Peer> {
                  return std::make_unique<Sqlite>(folder, promise);
              }});

}  // namespace
}  // namespace keystile::bench
