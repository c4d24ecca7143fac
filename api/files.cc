// SPDX-License-Identifier: Apache-2.0
#include "trivium/files.h"

#include <unordered_map>

#include "base/status_macros.h"
#include "storage/text_files.h"
#include "storage/vector_files/vector_file.h"

namespace trivium {

absl::Status ReadCorpus(const std::string& path, const std::function<absl::Status(CorpusRecord)>& visit) {
  return storage::ReadCorpus(path, [&](storage::CorpusRecord record) {
    return visit({std::move(record.id), std::move(record.text), std::move(record.metadata)});
  });
}

struct VectorReader::Impl {
  std::unique_ptr<storage::VectorFile> file;
};

VectorReader::VectorReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
VectorReader::~VectorReader() = default;

absl::StatusOr<std::unique_ptr<VectorReader>> VectorReader::Open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  TRIVIUM_ASSIGN_OR_RETURN(impl->file, storage::OpenVectorFile(path));
  return std::unique_ptr<VectorReader>(new VectorReader(std::move(impl)));
}

std::size_t VectorReader::rows() const { return impl_->file->rows(); }
std::size_t VectorReader::columns() const { return impl_->file->columns(); }
absl::Status VectorReader::Read(std::size_t first, std::size_t count, float* out) {
  return impl_->file->Read(first, count, out);
}

absl::StatusOr<QuerySet> ReadQuerySet(const std::string& queries_path, const std::string& qrels_path,
                                      const std::optional<std::string>& partition) {
  TRIVIUM_ASSIGN_OR_RETURN(std::vector<storage::QueryRecord> queries, storage::ReadQueries(queries_path));
  TRIVIUM_ASSIGN_OR_RETURN(std::vector<storage::Judgement> judgements, storage::ReadJudgements(qrels_path));
  QuerySet set;
  set.name = partition.value_or("");
  set.partition = partition;
  set.judgements.resize(queries.size());
  std::unordered_map<std::string, std::size_t> position;
  for (storage::QueryRecord& query : queries) {
    position.emplace(query.id, set.ids.size());
    set.ids.push_back(std::move(query.id));
    set.texts.push_back(std::move(query.text));
  }
  for (storage::Judgement& judgement : judgements) {
    const auto found = position.find(judgement.query_id);
    if (found == position.end()) continue;
    set.judgements[found->second].push_back(
        {std::move(judgement.document_id), std::nullopt, judgement.grade});
  }
  return set;
}

}  // namespace trivium
