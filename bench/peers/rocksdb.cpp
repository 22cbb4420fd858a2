// RocksDB: a pessimistic transaction that reads for update, compares and puts. Its writers share one sync of the log.
// kLater: sync=false, the log goes to the kernel with each commit.
#include <rocksdb/utilities/transaction.h>
#include <rocksdb/utilities/transaction_db.h>

#include <cstring>

#include "rig/peer.hpp"

namespace keystile::bench {
namespace {

void need_rocksdb(const rocksdb::Status& status) {
    if (status.ok()) return;
    std::fprintf(stderr, "bench: rocksdb: %s\n", status.ToString().c_str());
    std::exit(1);
}

rocksdb::Slice slice_of(const KeyName& key) {
    return {reinterpret_cast<const char*>(&key), sizeof key};
}

class Rocksdb final : public Peer {
public:
    Rocksdb(const std::string& folder, Promise promise) {
        rocksdb::Options options;
        options.create_if_missing = true;
        rocksdb::TransactionDB* opened = nullptr;
        need_rocksdb(rocksdb::TransactionDB::Open(options, {}, folder, &opened));
        store_.reset(opened);
        write_.sync = promise == Promise::kNow;
    }

    std::unique_ptr<Seat> seat() override { return std::make_unique<Writer>(*store_, write_); }
    void create(const KeyName& key, const void* value, std::size_t size) override {
        std::string bytes(sizeof(std::uint64_t), '\0');
        bytes.append(static_cast<const char*>(value), size);
        need_rocksdb(store_->Put(write_, slice_of(key), bytes));
    }

private:
    class Writer final : public Seat {
    public:
        Writer(rocksdb::TransactionDB& store, const rocksdb::WriteOptions& write)
            : store_(store), write_(write) {}
        bool commit(const KeyName& key, std::uint64_t version, const void* value, std::size_t size) override {
            transaction_.reset(store_.BeginTransaction(write_, {}, transaction_.release()));
            need_rocksdb(transaction_->GetForUpdate({}, slice_of(key), &bytes_));
            std::uint64_t now = 0;
            std::memcpy(&now, bytes_.data(), sizeof now);
            if (now != version) {
                need_rocksdb(transaction_->Rollback());
                return false;
            }
            ++now;
            bytes_.assign(reinterpret_cast<const char*>(&now), sizeof now);
            bytes_.append(static_cast<const char*>(value), size);
            need_rocksdb(transaction_->Put(slice_of(key), bytes_));
            need_rocksdb(transaction_->Commit());
            return true;
        }

    private:
        rocksdb::TransactionDB& store_;
        rocksdb::WriteOptions write_;
        std::unique_ptr<rocksdb::Transaction> transaction_;
        std::string bytes_;
    };

    std::unique_ptr<rocksdb::TransactionDB> store_;
    rocksdb::WriteOptions write_;
};

[[maybe_unused]] const bool is_added =
    add_peer({"rocksdb", [](const std::string& folder, Promise promise) -> std::unique_ptr<Peer> {
                  return std::make_unique<Rocksdb>(folder, promise);
              }});

}  // namespace
}  // namespace keystile::bench
