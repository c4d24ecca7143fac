// SPDX-License-Identifier: Apache-2.0
#include "api/cli/query_files.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/arguments.h"
#include "api/cli/corpus_check.h"
#include "api/cli/status_macros.h"
#include "trivium/files.h"

namespace trivium::cli {
namespace {

std::string Stem(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return name.substr(0, name.find('.', 1));
}

// The set that a file belongs to: by name, or the nth without one. Null: none.
QuerySetFiles* FindSet(std::vector<QuerySetFiles>& sets, const std::string& name, std::size_t unnamed_index) {
  for (QuerySetFiles& set : sets) {
    if (name.empty() ? !set.partition && unnamed_index-- == 0 : set.partition == name) return &set;
  }
  return nullptr;
}

absl::Status Unpaired(const std::string& flag, const std::string& text, const std::string& expected) {
  return absl::InvalidArgumentError(absl::StrFormat("%s: %s, expected %s", flag, Quoted(text), expected));
}

void MakeLabelsDistinct(std::vector<QuerySetFiles>& sets) {
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const std::string stem = sets[i].label;
    const auto taken = [&] {
      return std::any_of(sets.begin(), sets.end(), [&](const QuerySetFiles& other) {
        return &other != &sets[i] && other.label == sets[i].label;
      });
    };
    for (int number = 2; !sets[i].partition && taken(); ++number) {
      sets[i].label = absl::StrFormat("%s-%d", stem, number);
    }
  }
}

// Keeps the queries that have judgements; returns their positions in the file.
std::vector<std::size_t> KeepJudged(QuerySet* set) {
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < set->judgements.size(); ++i) {
    if (set->judgements[i].empty()) continue;
    const std::size_t to = kept.size();
    kept.push_back(i);
    if (to == i) continue;
    set->ids[to] = std::move(set->ids[i]);
    set->texts[to] = std::move(set->texts[i]);
    set->judgements[to] = std::move(set->judgements[i]);
  }
  set->ids.resize(kept.size());
  set->texts.resize(kept.size());
  set->judgements.resize(kept.size());
  return kept;
}

absl::StatusOr<QuerySet> ReadUnjudged(const std::string& path, const std::optional<std::string>& partition) {
  QuerySet set;
  set.partition = partition;
  TRIVIUM_CLI_RETURN_IF_ERROR(ReadCorpus(path, [&](CorpusRecord record) {
    set.ids.push_back(std::move(record.id));
    set.texts.push_back(std::move(record.text));
    return absl::OkStatus();
  }));
  set.judgements.resize(set.ids.size());
  return set;
}

// The rows `kept` of a file that has a row for each of `query_count` queries.
absl::StatusOr<std::vector<float>> ReadRows(const std::string& path, std::size_t query_count,
                                            const std::vector<std::size_t>& kept, std::size_t* columns) {
  TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader, VectorReader::Open(path));
  if (reader->rows() != query_count) {
    return absl::InvalidArgumentError(
        absl::StrFormat("query vectors: %d rows, expected %d, one a query of the queries file (%s)",
                        reader->rows(), query_count, path));
  }
  *columns = reader->columns();
  std::vector<float> rows(kept.size() * *columns);
  for (std::size_t begin = 0; begin < kept.size();) {
    std::size_t end = begin + 1;
    while (end < kept.size() && kept[end] == kept[end - 1] + 1) ++end;
    float* out = rows.data() + begin * *columns;
    TRIVIUM_CLI_RETURN_IF_ERROR(reader->Read(kept[begin], end - begin, out));
    TRIVIUM_CLI_RETURN_IF_ERROR(
        CheckRows({out, end - begin, *columns}, kept[begin], /*directions=*/false, path));
    begin = end;
  }
  return rows;
}

}  // namespace

void AddQueryOptions(CLI::App& command, QueryArguments* arguments, bool required) {
  const std::string flag = "--" + arguments->prefix;
  command
      .add_option(flag + "queries", arguments->queries,
                  "Queries, JSON lines {\"_id\",\"text\"}; NAME: the partition of their judged documents")
      ->type_name("[NAME=]FILE")
      ->required(required);
  command
      .add_option(flag + "qrels", arguments->qrels,
                  arguments->judged ? "Judgements, TSV with header query-id corpus-id score"
                                    : "Judgements: not needed, not read")
      ->type_name("[NAME=]FILE")
      ->required(required && arguments->judged);
  command
      .add_option(
          flag + "query-vectors", arguments->vectors,
          "Vectors of the queries in the order of their file; for one of several spaces SPACE:NAME=FILE")
      ->type_name("[NAME=]FILE");
}

absl::StatusOr<std::vector<QuerySetFiles>> PairQueryFiles(const QueryArguments& arguments) {
  const auto flag = [&](const std::string& given, const char* name) {
    return given.empty() ? "--" + arguments.prefix + name : given;
  };
  const std::string queries_flag = flag(arguments.queries_flag, "queries");
  const std::string qrels_flag = flag("", "qrels");
  const std::string vectors_flag = flag(arguments.vectors_flag, "query-vectors");
  std::vector<QuerySetFiles> sets;
  for (const std::string& text : arguments.queries) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const NamedFile file, ParseOptionallyNamedFile(queries_flag, text, false));
    if (!file.name.empty() && FindSet(sets, file.name, 0) != nullptr) {
      return Unpaired(queries_flag, text, "one file a name");
    }
    QuerySetFiles set;
    set.label = file.name.empty() ? Stem(file.file) : file.name;
    if (!file.name.empty()) set.partition = file.name;
    set.queries = file.file;
    sets.push_back(std::move(set));
  }
  MakeLabelsDistinct(sets);
  std::size_t unnamed_count = 0;
  for (const std::string& text : arguments.qrels) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const NamedFile file, ParseOptionallyNamedFile(qrels_flag, text, false));
    QuerySetFiles* set = FindSet(sets, file.name, file.name.empty() ? unnamed_count++ : 0);
    if (set == nullptr) return Unpaired(qrels_flag, text, queries_flag + " to go with it");
    if (!set->qrels.empty()) return Unpaired(qrels_flag, text, "one file a name");
    set->qrels = file.file;
  }
  std::vector<std::pair<std::string, std::size_t>> unnamed_counts;  // a space
  for (const std::string& text : arguments.vectors) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const NamedFile file, ParseOptionallyNamedFile(vectors_flag, text, true));
    const auto of_space = [&](const auto& entry) { return entry.first == file.space; };
    auto count = std::find_if(unnamed_counts.begin(), unnamed_counts.end(), of_space);
    if (count == unnamed_counts.end()) count = unnamed_counts.insert(count, {file.space, 0});
    QuerySetFiles* set = FindSet(sets, file.name, file.name.empty() ? count->second++ : 0);
    if (set == nullptr) return Unpaired(vectors_flag, text, queries_flag + " to go with it");
    if (std::any_of(set->vectors.begin(), set->vectors.end(), of_space)) {
      return Unpaired(vectors_flag, text, "one file a name and space");
    }
    set->vectors.emplace_back(file.space, file.file);
  }
  for (const QuerySetFiles& set : sets) {
    if (arguments.judged && set.qrels.empty())
      return Unpaired(queries_flag, set.queries, qrels_flag + " to go with it");
  }
  return sets;
}

absl::Status CheckDropSelf(const std::vector<std::string>& labels, const std::vector<QuerySetFiles>& sets) {
  for (const std::string& label : labels) {
    const bool known =
        std::any_of(sets.begin(), sets.end(), [&](const QuerySetFiles& set) { return set.label == label; });
    if (!known) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--drop-self: %s, expected the name of a query set", Quoted(label)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPartitions(const std::vector<QuerySetFiles>& sets, const StoreInfo& info) {
  for (const QuerySetFiles& set : sets) {
    const bool known =
        !set.partition || std::any_of(info.partitions.begin(), info.partitions.end(),
                                      [&](const auto& entry) { return entry.first == *set.partition; });
    if (!known) {
      return absl::NotFoundError(
          absl::StrFormat("partition: '%s', expected one of the store's, for the judgements of %s",
                          *set.partition, set.qrels));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadedQueries> LoadQueries(const std::vector<QuerySetFiles>& files,
                                          const std::vector<std::string>& drop_self, bool keep_unjudged) {
  LoadedQueries loaded;
  for (const QuerySetFiles& file : files) {
    TRIVIUM_CLI_ASSIGN_OR_RETURN(QuerySet set, file.qrels.empty()
                                                   ? ReadUnjudged(file.queries, file.partition)
                                                   : ReadQuerySet(file.queries, file.qrels, file.partition));
    const std::size_t query_count = set.size();
    std::vector<std::size_t> kept(query_count);
    std::iota(kept.begin(), kept.end(), std::size_t{0});
    if (!keep_unjudged) kept = KeepJudged(&set);
    if (kept.empty()) {
      if (keep_unjudged) {
        return absl::InvalidArgumentError(
            absl::StrFormat("queries: 0, expected at least one (%s)", file.queries));
      }
      return absl::InvalidArgumentError(absl::StrFormat(
          "queries: none with a judgement, expected at least one (%s, %s)", file.queries, file.qrels));
    }
    set.name = file.label;
    set.drop_self = std::find(drop_self.begin(), drop_self.end(), file.label) != drop_self.end();
    for (const auto& [space, path] : file.vectors) {
      std::size_t columns = 0;
      TRIVIUM_CLI_ASSIGN_OR_RETURN(std::vector<float> rows, ReadRows(path, query_count, kept, &columns));
      loaded.storage.push_back(std::move(rows));
      set.vectors.push_back({space, {loaded.storage.back().data(), kept.size(), columns}});
    }
    loaded.sets.push_back(std::move(set));
    loaded.unjudged.push_back(query_count - kept.size());
  }
  return loaded;
}

}  // namespace trivium::cli
