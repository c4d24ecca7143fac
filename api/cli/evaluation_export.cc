// SPDX-License-Identifier: Apache-2.0
#include "api/cli/evaluation_export.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/cli/output.h"

namespace trivium::cli {
namespace {

constexpr const char* kPartialSuffix = ".partial";

std::string WithoutSpaces(const std::string& id) {
  std::string text;
  for (const char c : id) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || c == '%' || byte == 0x7F) {
      text += absl::StrFormat("%%%02X", byte);
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path) {
  std::error_code ignored;
  // Through a symbolic link to the file that it names.
  const bool link = std::filesystem::is_symlink(path, ignored);
  const std::string target = link ? std::filesystem::weakly_canonical(path, ignored).string() : path;
  OutputFile file(target);
  if (const auto kind = std::filesystem::status(path, ignored).type();
      kind != std::filesystem::file_type::not_found && kind != std::filesystem::file_type::regular) {
    file.path_.clear();
    return absl::InvalidArgumentError(
        absl::StrFormat("output: not a regular file, expected a file to write (%s)", path));
  }
  file.out_.open(target + kPartialSuffix, std::ios::binary | std::ios::trunc);
  if (file.out_.is_open()) return file;
  const std::string reason = std::strerror(errno);
  file.path_.clear();
  return absl::InvalidArgumentError(
      absl::StrFormat("output: %s, expected a file to write (%s)", reason, path));
}

OutputFile::~OutputFile() {
  if (!path_.empty()) std::remove((path_ + kPartialSuffix).c_str());
}

absl::Status OutputFile::Commit() {
  out_.close();
  if (!out_.good() || std::rename((path_ + kPartialSuffix).c_str(), path_.c_str()) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("output: %s, expected to be written whole (%s)", std::strerror(errno), path_));
  }
  path_.clear();
  return absl::OkStatus();
}

void WriteRun(const EvaluationReport& report, const std::vector<std::optional<std::string>>& partitions,
              OutputFile* file) {
  for (std::size_t s = 0; s < report.sets.size(); ++s) {
    const std::string prefix = report.sets.size() > 1 ? report.sets[s].name + "/" : "";
    for (const QueryOutcome& outcome : report.sets[s].outcomes) {
      std::unordered_set<std::string> seen;
      float score = std::numeric_limits<float>::infinity();
      for (std::size_t i = 0; i < outcome.ids.size(); ++i) {
        const bool own =
            partitions[s] ? outcome.partitions[i] == *partitions[s] : seen.insert(outcome.ids[i]).second;
        const std::string document = own ? outcome.ids[i] : outcome.partitions[i] + "/" + outcome.ids[i];
        score = std::min(outcome.scores[i], std::nextafter(score, -std::numeric_limits<float>::infinity()));
        file->Write(absl::StrFormat("%s Q0 %s %d %.9g trivium\n", WithoutSpaces(prefix + outcome.id),
                                    WithoutSpaces(document), i + 1, score));
      }
    }
  }
}

void WritePerQuery(const EvaluationReport& report, OutputFile* file) {
  for (const SetMetrics& set : report.sets) {
    for (const QueryOutcome& outcome : set.outcomes) {
      Json line = {{"set", set.name},
                   {"query", outcome.id},
                   {"ndcg@10", outcome.ndcg_at_10},
                   {"recall@10", outcome.recall_at_10},
                   {"recall@100", outcome.recall_at_100},
                   {"mrr@10", outcome.mrr_at_10},
                   {"latency_us", outcome.latency_us},
                   {"distance_computations", outcome.distance_computations},
                   {"bytes_read", outcome.bytes_read},
                   {"experts", outcome.experts},
                   {"probabilities", outcome.probabilities},
                   {"hits", Json::array()}};
      if (outcome.clean) line["clean"] = *outcome.clean;
      for (std::size_t i = 0; i < outcome.compared.size(); ++i) {
        line["compare"][set.compare[i].name] = outcome.compared[i];
      }
      for (std::size_t i = 0; i < outcome.ids.size(); ++i) {
        line["hits"].push_back(
            {{"partition", outcome.partitions[i]}, {"id", outcome.ids[i]}, {"score", outcome.scores[i]}});
      }
      file->Write(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    }
  }
}

}  // namespace trivium::cli
