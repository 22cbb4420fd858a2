#include "swarm/audit.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "swarm/failure.hpp"
#include "swarm/keys.hpp"
#include "swarm/notes.hpp"
#include "swarm/places_value.hpp"
#include "swarm/word_value.hpp"
#include "swarm/words.hpp"

namespace keystile::cli::swarm {
namespace {

constexpr size_t kProblemTextsMax = 10;

using Places = std::vector<uint64_t>;  // ascending offsets into the text
using Index = std::unordered_map<std::string, Places>;

Index count_serially(const std::string& text) {
    Index index;
    for_each_word(text,
                  [&](std::string_view word, size_t offset) { index[std::string(word)].push_back(offset); });
    return index;
}

// Reads each value under the prefix; the store is at rest.
template <class Visit>
void for_each_value(const Lane& lane, std::string_view prefix, Visit&& visit) {
    std::string value;
    lane.list(prefix, 0, [&](const ks_entry& entry) {
        const std::string key(static_cast<const char*>(entry.key.data), entry.key.size);
        lane.read(key, value);
        visit(key, std::string_view(value));
    });
}

// What a word's value says, of either form.
struct Listing {
    uint64_t count = 0;
    uint64_t unlisted = 0;  // counted without a place
    uint64_t strays = 0;    // counted in a chunk that does not exist
    Places places;
};

std::optional<Listing> listing_of_sections(std::string_view value, const std::vector<Chunk>& chunks) {
    const std::optional<WordRecord> record = parse_word_value(value);
    if (!record) {
        return std::nullopt;
    }
    Listing listing;
    listing.count = record->count;
    for (const WordSection& section : record->sections) {
        if (section.chunk >= chunks.size()) {
            listing.strays += section.count;
            continue;
        }
        listing.unlisted += section.count - section.offsets.size();
        for (const uint32_t offset : section.offsets) {
            listing.places.push_back(chunks[section.chunk].begin + offset);
        }
    }
    return listing;
}

std::optional<Listing> listing_of_places(std::string_view value) {
    std::optional<PlacesRecord> record = parse_places_value(value);
    if (!record) {
        return std::nullopt;
    }
    const uint64_t unlisted = record->count - record->places.size();
    return Listing{
        .count = record->count, .unlisted = unlisted, .strays = 0, .places = std::move(record->places)};
}

// The listed places that are not among the true ones.
uint64_t count_misplaced(Places listed, const Places& truth) {
    std::sort(listed.begin(), listed.end());
    listed.erase(std::unique(listed.begin(), listed.end()),
                 listed.end());  // twice the same: that is `doubled`
    Places wrong;
    std::set_difference(listed.begin(), listed.end(), truth.begin(), truth.end(), std::back_inserter(wrong));
    return wrong.size();
}

void judge_words(const Lane& lane, const Text& text, const std::vector<Chunk>& chunks, bool is_atomic,
                 Audit& audit) {
    Index truth = count_serially(text.bytes);
    audit.different = truth.size();
    for (const auto& [word, places] : truth) {
        audit.expected += places.size();
    }
    for_each_value(lane, kWordPrefix, [&](const std::string& key, std::string_view value) {
        std::optional<Listing> listing =
            is_atomic ? listing_of_places(value) : listing_of_sections(value, chunks);
        if (!listing) {
            ++audit.malformed;
            return;
        }
        const Places places = std::move(truth[key.substr(kWordPrefix.size())]);
        truth.erase(key.substr(kWordPrefix.size()));
        audit.found += listing->count;
        audit.lost += places.size() > listing->count ? places.size() - listing->count : 0;
        audit.doubled += listing->count > places.size() ? listing->count - places.size() : 0;
        audit.unlisted += listing->unlisted;
        audit.misplaced += listing->strays + count_misplaced(std::move(listing->places), places);
    });
    for (const auto& [word, places] : truth) {  // words without a key
        audit.lost += places.size();
    }
}

void add_problem(void* user, const char* text) {
    auto* const audit = static_cast<Audit*>(user);
    if (audit->problem_texts.size() < kProblemTextsMax) {
        audit->problem_texts.emplace_back(text);
    }
}

}  // namespace

Audit audit(const Lane& lane, const Text& text, const std::vector<Chunk>& chunks, bool is_atomic) {
    Audit audit;
    judge_words(lane, text, chunks, is_atomic, audit);

    for_each_value(lane, kChunkPrefix, [&](const std::string&, std::string_view value) {
        audit.done += parse_chunk_value(value).is_done ? 1u : 0u;
    });

    std::string notes;
    lane.read(kNotesKey, notes);
    const std::optional<uint64_t> noted = count_noted(notes);
    audit.noted = noted.value_or(0);
    audit.malformed += noted ? 0u : 1u;

    ks_check_report report{};
    report.struct_size = sizeof report;
    const ks_status status = ks_check(lane.store(), add_problem, &audit, &report);
    if (status != KS_E_CORRUPT) {
        answer_of(status, "ks_check");
    }
    audit.problems = report.problems + (status == KS_E_CORRUPT && report.problems == 0 ? 1 : 0);
    return audit;
}

}  // namespace keystile::cli::swarm
