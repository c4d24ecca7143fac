// SPDX-License-Identifier: Apache-2.0
#include "api/cli/corpus_writer.h"

#include <memory>
#include <string>
#include <vector>

#include "api/cli/interrupt.h"
#include "api/cli/status_macros.h"
#include "trivium/files.h"

namespace trivium::cli {
namespace {

constexpr std::size_t kBatchDocuments = 1000;

class CorpusWriter {
 public:
  CorpusWriter(Store* store, const CorpusPlan& corpus, UpsertReport* total)
      : store_(*store), corpus_(corpus), total_(*total) {}

  absl::Status Write() {
    for (const auto& [space, file] : corpus_.vectors) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(std::unique_ptr<VectorReader> reader, VectorReader::Open(file));
      rows_.emplace_back(kBatchDocuments * reader->columns());
      readers_.push_back(std::move(reader));
    }
    TRIVIUM_CLI_RETURN_IF_ERROR(ReadCorpus(corpus_.file, [this](CorpusRecord record) -> absl::Status {
      ids_.push_back(std::move(record.id));
      texts_.push_back(std::move(record.text));
      metadata_.push_back(std::move(record.metadata));
      return ids_.size() < kBatchDocuments ? absl::OkStatus() : Flush();
    }));
    return ids_.empty() ? absl::OkStatus() : Flush();
  }

 private:
  absl::Status Flush() {
    TRIVIUM_CLI_RETURN_IF_ERROR(CheckInterrupt());
    UpsertBatch batch;
    batch.ids = ids_;
    batch.texts = texts_;
    batch.metadata = metadata_;
    batch.partition = corpus_.partition;
    for (std::size_t i = 0; i < readers_.size(); ++i) {
      TRIVIUM_CLI_RETURN_IF_ERROR(readers_[i]->Read(first_row_, ids_.size(), rows_[i].data()));
      batch.vectors.push_back(
          {corpus_.vectors[i].first, {rows_[i].data(), ids_.size(), readers_[i]->columns()}});
    }
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const UpsertReport report, store_.Upsert(batch));
    total_.written += report.written;
    total_.replaced += report.replaced;
    total_.encoded += report.encoded;
    total_.encoded_from_cache += report.encoded_from_cache;
    first_row_ += ids_.size();
    ids_.clear();
    texts_.clear();
    metadata_.clear();
    return absl::OkStatus();
  }

  Store& store_;
  const CorpusPlan& corpus_;
  UpsertReport& total_;
  std::vector<std::unique_ptr<VectorReader>> readers_;  // aligned with the corpus's vectors
  std::vector<std::vector<float>> rows_;                // likewise: one batch each
  std::vector<std::string> ids_, texts_, metadata_;     // the batch
  std::size_t first_row_ = 0;
};

}  // namespace

absl::Status WriteCorpus(const CorpusPlan& corpus, Store* store, UpsertReport* total) {
  return CorpusWriter(store, corpus, total).Write();
}

}  // namespace trivium::cli
