#include "swarm/words.hpp"

#include <unordered_map>

namespace keystile::cli::swarm {

std::vector<WordPlaces> distinct_words(std::string_view chunk) {
    std::vector<WordPlaces> words;
    std::unordered_map<std::string, size_t> index_of;
    for_each_word(chunk, [&](std::string_view word, size_t offset) {
        const auto [found, is_new] = index_of.try_emplace(std::string(word), words.size());
        if (is_new) {
            words.push_back({found->first, {}});
        }
        words[found->second].offsets.push_back(static_cast<uint32_t>(offset));
    });
    return words;
}

}  // namespace keystile::cli::swarm
