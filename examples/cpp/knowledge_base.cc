// SPDX-License-Identifier: Apache-2.0
// A knowledge base with two experts and an encoder of its own: write, build, search, explain.
//
// Usage: knowledge_base DIRECTORY
#include <trivium/engine.h>

#include <cctype>
#include <cstdio>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

// Counts words by hash: enough to find texts that share words. A real program would call its model here.
class WordEncoder : public trivium::TextEncoder {
 public:
  std::size_t dimension() const override { return 256; }
  std::string fingerprint() const override { return "words-256"; }

  absl::Status Encode(absl::Span<const std::string> texts, trivium::TextKind, float* out) override {
    for (const std::string& text : texts) {
      std::fill(out, out + dimension(), 0.0f);
      std::istringstream words(text);
      for (std::string word; words >> word;) {
        while (!word.empty() && std::ispunct(static_cast<unsigned char>(word.back()))) word.pop_back();
        for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        out[std::hash<std::string>{}(word) % dimension()] += 1.0f;
      }
      out += dimension();
    }
    return absl::OkStatus();
  }
};

struct Topic {
  std::string name;
  std::vector<std::string> texts;
};

const std::vector<Topic>& Topics() {
  static const std::vector<Topic> topics = {
      {"kitchen",
       {"Knead the dough for ten minutes and let it rise.", "Roast the peppers until the skin is black.",
        "Whisk the egg whites with sugar until stiff."}},
      {"garden",
       {"Prune the roses in early spring.", "Water tomatoes in the morning, at the roots.",
        "Let the compost rise in temperature before you turn it."}},
  };
  return topics;
}

absl::Status Fill(trivium::Store& store) {
  trivium::SpaceOptions space;
  space.name = "words";
  space.dimension = 256;
  space.encoder = "words";
  if (absl::Status status = store.AddSpace(space); !status.ok()) return status;
  for (const Topic& topic : Topics()) {
    trivium::ExpertOptions expert;
    expert.name = topic.name;
    expert.space = "words";
    expert.partition = topic.name;
    if (absl::Status status = store.AddExpert(expert); !status.ok()) return status;

    std::vector<std::string> ids, metadata;
    for (std::size_t i = 0; i < topic.texts.size(); ++i) {
      ids.push_back(topic.name + "-" + std::to_string(i));
      metadata.push_back("{\"length\": " + std::to_string(topic.texts[i].size()) + "}");
    }
    trivium::UpsertBatch batch;
    batch.ids = ids;
    batch.texts = topic.texts;
    batch.metadata = metadata;
    batch.partition = topic.name;
    if (auto report = store.Upsert(batch); !report.ok()) return report.status();
  }
  return store.Build().status();
}

absl::Status Run(const std::string& directory) {
  trivium::OpenOptions options;
  options.encoders["words"] = std::make_shared<WordEncoder>();
  auto store = trivium::Store::Open(directory, options);
  if (!store.ok()) return store.status();
  if (!(*store)->HasSpace("words")) {
    if (absl::Status status = Fill(**store); !status.ok()) return status;
  }

  trivium::Query query;
  query.text = "how long must the dough rise?";
  trivium::SearchOptions search;
  search.k = 2;
  search.filter = R"({"field": "length", "op": "<", "value": 200})";
  auto result = (*store)->Search(query, search);
  if (!result.ok()) return result.status();
  for (const trivium::Hit& hit : result->hits) {
    std::printf("%.3f  %-10s  %s\n", hit.score, hit.id.c_str(), hit.text.c_str());
  }
  std::printf("route: %s, %zu experts; %llu distances\n", result->route.mode.c_str(),
              result->route.experts.size(),
              static_cast<unsigned long long>(result->trace.distance_computations));
  return (*store)->Close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: knowledge_base DIRECTORY\n");
    return 2;
  }
  const absl::Status status = Run(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "knowledge_base: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
