#include "swarm/receipts.hpp"

#include "swarm/failure.hpp"
#include "swarm/keys.hpp"

namespace keystile::cli::swarm {

void Receipts::keep(uint32_t chunk, uint64_t lsn) {
    if (is_durable_) {
        board_.receipts()[chunk].lsn.set(lsn);
        waiting_.push_back(chunk);
    }
}

void Receipts::look() {
    while (!waiting_.empty()) {
        ChunkReceipt& receipt = board_.receipts()[waiting_.front()];
        const ks_status status = ks_wait_durable(lane_.store(), receipt.lsn.get(), 0);
        if (answer_of(status, "ks_wait_durable") == KS_TIMEOUT) {
            return;
        }
        receipt.acknowledged.set(1);
        waiting_.pop_front();
    }
}

void Receipts::settle() {
    if (!is_durable_) {
        return;
    }
    answer_of(ks_flush(lane_.store()), "ks_flush");
    std::string value;
    for (uint32_t chunk = 0; chunk < board_.receipts().size(); ++chunk) {
        const ks_stamp stamp = lane_.read(chunk_key(chunk), value);
        const ks_status status = ks_wait_durable(lane_.store(), stamp.version, 0);
        const bool is_on_disk = answer_of(status, "ks_wait_durable") == KS_OK;
        if (is_on_disk && parse_chunk_value(value).is_done) {
            board_.receipts()[chunk].acknowledged.set(1);
        }
    }
}

}  // namespace keystile::cli::swarm
