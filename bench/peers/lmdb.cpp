// LMDB: a write transaction that reads, compares and puts. kLater: MDB_NOSYNC, which may lose the whole file with the
// power, and brings nothing to disk by itself: less than ours promises.
#include <lmdb.h>

#include <cstring>

#include "rig/peer.hpp"

namespace keystile::bench {
namespace {

constexpr std::size_t kMapBytes = std::size_t{1} << 30;
constexpr std::size_t kVersionBytes = sizeof(std::uint64_t);

void need_lmdb(int status) {
    if (status == MDB_SUCCESS) return;
    std::fprintf(stderr, "bench: lmdb: %s\n", mdb_strerror(status));
    std::exit(1);
}

MDB_val bytes_of(const KeyName& key) noexcept {
    return {sizeof key, const_cast<KeyName*>(&key)};
}

class Lmdb final : public Peer {
public:
    Lmdb(const std::string& folder, Promise promise) {
        need_lmdb(mdb_env_create(&env_));
        need_lmdb(mdb_env_set_mapsize(env_, kMapBytes));
        need_lmdb(mdb_env_open(env_, folder.c_str(), promise == Promise::kLater ? MDB_NOSYNC : 0u, 0600));
        MDB_txn* txn = nullptr;
        need_lmdb(mdb_txn_begin(env_, nullptr, 0, &txn));
        need_lmdb(mdb_dbi_open(txn, nullptr, 0, &table_));
        need_lmdb(mdb_txn_commit(txn));
    }
    ~Lmdb() override { mdb_env_close(env_); }

    std::unique_ptr<Seat> seat() override { return std::make_unique<Writer>(*this); }
    void create(const KeyName& key, const void* value, std::size_t size) override {
        MDB_txn* txn = nullptr;
        need_lmdb(mdb_txn_begin(env_, nullptr, 0, &txn));
        put(txn, key, 0, value, size);
        need_lmdb(mdb_txn_commit(txn));
    }

private:
    class Writer final : public Seat {
    public:
        explicit Writer(Lmdb& at) : at_(at) {}
        bool commit(const KeyName& key, std::uint64_t version, const void* value, std::size_t size) override {
            MDB_txn* txn = nullptr;
            need_lmdb(mdb_txn_begin(at_.env_, nullptr, 0, &txn));
            MDB_val name = bytes_of(key), found{};
            need_lmdb(mdb_get(txn, at_.table_, &name, &found));
            std::uint64_t now = 0;
            std::memcpy(&now, found.mv_data, sizeof now);
            if (now != version) {
                mdb_txn_abort(txn);
                return false;
            }
            at_.put(txn, key, version + 1, value, size);
            need_lmdb(mdb_txn_commit(txn));
            return true;
        }

    private:
        Lmdb& at_;
    };

    void put(MDB_txn* txn, const KeyName& key, std::uint64_t version, const void* value, std::size_t size) {
        MDB_val name = bytes_of(key), place{kVersionBytes + size, nullptr};
        need_lmdb(mdb_put(txn, table_, &name, &place, MDB_RESERVE));
        std::memcpy(place.mv_data, &version, sizeof version);
        std::memcpy(static_cast<char*>(place.mv_data) + kVersionBytes, value, size);
    }

    MDB_env* env_ = nullptr;
    MDB_dbi table_ = 0;
};

[[maybe_unused]] const bool is_added =
    add_peer({"lmdb", [](const std::string& folder, Promise promise) -> std::unique_ptr<Peer> {
                  return std::make_unique<Lmdb>(folder, promise);
              }});

}  // namespace
}  // namespace keystile::bench
