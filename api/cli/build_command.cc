// SPDX-License-Identifier: Apache-2.0
// Builds in two passes: the first reads every file and writes nothing, so that bad input leaves the store as
// it was; the second streams the documents into it, a batch at a time, and then builds the indexes.
#include <malloc.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "CLI/CLI.hpp"
#include "absl/strings/str_format.h"
#include "api/cli/build_config.h"
#include "api/cli/build_plan.h"
#include "api/cli/command.h"
#include "api/cli/corpus_check.h"
#include "api/cli/corpus_writer.h"
#include "api/cli/interrupt.h"
#include "api/cli/output.h"
#include "api/cli/progress_bar.h"
#include "api/cli/status_macros.h"
#include "trivium/files.h"

namespace trivium::cli {
namespace {

namespace fs = std::filesystem;

struct BuildArguments : CommonArguments {
  BuildFlags flags;
  std::string config;
  int threads = 0;
  double target_recall = 0;  // 0: no calibration
  std::string profile;
  std::string sample_vectors;  // file of queries to calibrate with; empty: the store's own vectors
};

class Builder {
 public:
  Builder(const BuildArguments& arguments, EncoderRegistry encoders)
      : arguments_(arguments), encoders_(std::move(encoders)) {
    options_.threads = arguments.threads;
    options_.progress = bar_.Callback();
    options_.cancelled = &Interrupted();
    calibrate_.threads = arguments.threads;
    calibrate_.cancelled = &Interrupted();
    if (arguments.target_recall != 0) calibrate_.target_recall = arguments.target_recall;
  }

  absl::Status Run() {
    TRIVIUM_CLI_RETURN_IF_ERROR(options_.Validate());
    if (!arguments_.profile.empty()) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(options_.profile, ParseProfile(arguments_.profile));
    }
    TRIVIUM_CLI_RETURN_IF_ERROR(calibrate_.Validate());
    if (arguments_.target_recall == 0 && !arguments_.sample_vectors.empty()) {
      return absl::InvalidArgumentError("--sample-vectors: without --target-recall, expected both");
    }
    TRIVIUM_CLI_RETURN_IF_ERROR(OpenExisting());
    TRIVIUM_CLI_RETURN_IF_ERROR(Check());
    const bool had_folder = fs::exists(arguments_.store, ignored_);
    absl::Status status = Write();
    if (!status.ok() && total_.written > 0) status = WithProgress(status);
    if (!status.ok() && created_ && total_.written == 0) RemoveNewStore(had_folder);
    TRIVIUM_CLI_RETURN_IF_ERROR(status);
    bar_.Clear();
    return Report();
  }

 private:
  // Leaves the store null where there is none yet.
  absl::Status OpenExisting() {
    absl::StatusOr<std::unique_ptr<Store>> store = OpenWriter(arguments_.store, &encoders_);
    if (absl::IsNotFound(store.status())) return absl::OkStatus();
    TRIVIUM_CLI_RETURN_IF_ERROR(store.status());
    store_ = *std::move(store);
    TRIVIUM_CLI_ASSIGN_OR_RETURN(info_, store_->Inspect());
    return absl::OkStatus();
  }

  // All that can be wrong with the input; writes nothing.
  absl::Status Check() {
    if (arguments_.config.empty()) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(plan_, PlanFromFlags(arguments_.flags, info_));
    } else {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(plan_, ReadBuildConfig(arguments_.config));
    }
    TRIVIUM_CLI_RETURN_IF_ERROR(Settle(info_, &plan_));
    for (SpacePlan& space : plan_.spaces) space.profile = options_.profile.value_or(ProfileOf(space.name));
    const auto progress = [this](std::uint64_t checked) {
      bar_.Update("check", document_count_ + checked, 0);
    };
    for (const CorpusPlan& corpus : plan_.corpora) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::uint64_t count, CheckCorpus(corpus, &plan_, progress));
      document_count_ += count;
    }
    for (SpacePlan& space : plan_.spaces) {
      TRIVIUM_CLI_RETURN_IF_ERROR(CheckEncoder(&space));
      if (space.exists) continue;
      TRIVIUM_CLI_RETURN_IF_ERROR(OptionsOf(space).Validate());
    }
    for (const ExpertPlan& expert : *plan_.experts) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(ExpertOptions options, WithAdapter(expert));
      experts_.push_back(std::move(options));
    }
    return CheckSampleVectors();
  }

  Profile ProfileOf(const std::string& space) const {
    for (const SpaceInfo& info : info_.spaces) {
      if (info.name == space) return info.profile;
    }
    return Profile::kSpeed;
  }

  // Reads the sample queries; they belong to the plan's only space.
  absl::Status CheckSampleVectors() {
    if (arguments_.sample_vectors.empty()) return absl::OkStatus();
    if (plan_.spaces.size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrFormat("--sample-vectors: with %d spaces, expected one", plan_.spaces.size()));
    }
    const SpacePlan& space = plan_.spaces.front();
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader,
                                 VectorReader::Open(arguments_.sample_vectors));
    if (reader->columns() != space.dimension || reader->rows() == 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("sample vectors: %d x %d, expected at least one row of %d (%s)", reader->rows(),
                          reader->columns(), space.dimension, arguments_.sample_vectors));
    }
    sample_.resize(reader->rows() * reader->columns());
    TRIVIUM_CLI_RETURN_IF_ERROR(reader->Read(0, reader->rows(), sample_.data()));
    const MatrixView rows{sample_.data(), reader->rows(), reader->columns()};
    calibrate_.queries.push_back({space.name, rows});
    return CheckRows(rows, 0, /*directions=*/*space.metric == Metric::kCosine, arguments_.sample_vectors);
  }

  // An encoder is started here only where nothing else tells the dimension of a new space.
  absl::Status CheckEncoder(SpacePlan* space) {
    const bool used = std::any_of(plan_.corpora.begin(), plan_.corpora.end(), [&](const CorpusPlan& corpus) {
      return std::none_of(corpus.vectors.begin(), corpus.vectors.end(),
                          [&](const auto& entry) { return entry.first == space->name; });
    });
    if (space->encoder.empty() || !used) return absl::OkStatus();
    TRIVIUM_CLI_ASSIGN_OR_RETURN(CommandEncoder* const encoder, encoders_.Find(space->encoder));
    if (space->dimension == 0) {
      TRIVIUM_CLI_RETURN_IF_ERROR(encoder->LearnDimension());
      space->dimension = encoder->dimension();
    }
    encoder->Expect(space->dimension);
    encoder->OnProgress([this](std::uint64_t encoded) {
      const std::uint64_t in_this_batch = encoded - std::min(encoded, total_.encoded);
      bar_.Update("encode", std::min(total_.written + in_this_batch, document_count_), document_count_);
    });
    return absl::OkStatus();
  }

  static SpaceOptions OptionsOf(const SpacePlan& space) {
    return {
        .name = space.name, .dimension = space.dimension, .metric = *space.metric, .encoder = space.encoder};
  }

  absl::StatusOr<ExpertOptions> WithAdapter(const ExpertPlan& expert) const {
    ExpertOptions options = ToOptions(expert);
    if (expert.adapter_file.empty()) return options;
    const std::size_t dimension = FindSpace(plan_, expert.space)->dimension;
    TRIVIUM_CLI_ASSIGN_OR_RETURN(const std::unique_ptr<VectorReader> reader,
                                 VectorReader::Open(expert.adapter_file));
    if (reader->rows() != dimension || reader->columns() != dimension) {
      return absl::InvalidArgumentError(
          absl::StrFormat("adapter: %d x %d, expected %d x %d of space '%s' (%s)", reader->rows(),
                          reader->columns(), dimension, dimension, expert.space, expert.adapter_file));
    }
    options.adapter.resize(dimension * dimension);
    TRIVIUM_CLI_RETURN_IF_ERROR(reader->Read(0, dimension, options.adapter.data()));
    TRIVIUM_CLI_RETURN_IF_ERROR(CheckRows({options.adapter.data(), dimension, dimension}, 0,
                                          /*directions=*/false, expert.adapter_file));
    return options;
  }

  absl::Status Write() {
    if (store_ == nullptr) {
      OpenOptions options;
      options.encoders = encoders_.ToMap();
      TRIVIUM_CLI_ASSIGN_OR_RETURN(store_, Store::Open(arguments_.store, std::move(options)));
      TRIVIUM_CLI_ASSIGN_OR_RETURN(info_, store_->Inspect());
      created_ = info_.spaces.empty() && info_.documents == 0;  // nobody else made one meanwhile
    }
    for (const SpacePlan& space : plan_.spaces) {
      if (!space.exists) TRIVIUM_CLI_RETURN_IF_ERROR(store_->AddSpace(OptionsOf(space)));
    }
    // A profile that stored vectors do not fit is refused before there are more of them.
    if (options_.profile) TRIVIUM_CLI_RETURN_IF_ERROR(store_->Build(options_).status());
    for (const CorpusPlan& corpus : plan_.corpora) {
      TRIVIUM_CLI_RETURN_IF_ERROR(WriteCorpus(corpus, store_.get(), &total_));
      bar_.Update("write", total_.written, document_count_);
    }
    for (const ExpertOptions& expert : experts_) TRIVIUM_CLI_RETURN_IF_ERROR(store_->AddExpert(expert));
    malloc_trim(0);  // writing has left holes in the heap, about half as large as the vectors
    TRIVIUM_CLI_ASSIGN_OR_RETURN(build_report_, store_->Build(options_));
    if (arguments_.target_recall != 0) {
      TRIVIUM_CLI_ASSIGN_OR_RETURN(calibration_, store_->Calibrate(calibrate_));
    }
    return store_->Close();
  }

  // A store is created in a folder that was absent or empty, so all of it is ours.
  void RemoveNewStore(bool had_folder) {
    store_.reset();
    if (!had_folder) {
      fs::remove_all(arguments_.store, ignored_);
      return;
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(arguments_.store, ignored_)) {
      fs::remove_all(entry.path(), ignored_);
    }
  }

  absl::Status WithProgress(const absl::Status& status) const {
    return absl::Status(
        status.code(),
        absl::StrFormat("%s; %s of %s documents are written, the same command takes it from there",
                        std::string(status.message()), Grouped(total_.written), Grouped(document_count_)));
  }

  absl::Status Report() const {
    if (arguments_.json) {
      Json json = {{"store", arguments_.store},
                   {"documents", {{"written", total_.written}, {"replaced", total_.replaced}}},
                   {"encoded", total_.encoded},
                   {"encoded_from_cache", total_.encoded_from_cache},
                   {"experts_added", Json::array()},
                   {"segments_built", build_report_.segments_built},
                   {"rows_sealed", build_report_.rows_sealed},
                   {"texts_sealed", build_report_.texts_sealed},
                   {"graphs_taught", build_report_.graphs.taught},
                   {"graphs_left_untaught", build_report_.graphs.left_untaught},
                   {"build_seconds", build_report_.seconds}};
      for (const ExpertOptions& expert : experts_) json["experts_added"].push_back(expert.name);
      if (arguments_.target_recall != 0) json["calibration"] = Json::array();
      for (const CalibratedSpace& space : calibration_.spaces) {
        json["calibration"].push_back({{"space", space.space},
                                       {"target_recall", calibration_.target_recall},
                                       {"beam_width", space.beam_width},
                                       {"recall", space.recall},
                                       {"reached", space.reached},
                                       {"queries", space.queries}});
      }
      return PrintJson(json);
    }
    std::string text = absl::StrFormat("%s documents written, %s of them replaced\n", Grouped(total_.written),
                                       Grouped(total_.replaced));
    if (total_.encoded + total_.encoded_from_cache > 0) {
      text += absl::StrFormat("%s texts encoded, %s taken from the cache\n", Grouped(total_.encoded),
                              Grouped(total_.encoded_from_cache));
    }
    text += absl::StrFormat("%s experts added, %s vectors in %s new segments (%.1f s)\n",
                            Grouped(experts_.size()), Grouped(build_report_.rows_sealed),
                            Grouped(build_report_.segments_built), build_report_.seconds);
    text += TaughtText(build_report_.graphs);
    for (const CalibratedSpace& space : calibration_.spaces) {
      text += absl::StrFormat("space %s: beam width %d, recall@%d %.4f on %s queries%s\n", space.space,
                              space.beam_width, calibration_.k, space.recall, Grouped(space.queries),
                              space.reached ? "" : ", below the target");
    }
    return Print(text);
  }

  const BuildArguments& arguments_;
  EncoderRegistry encoders_;
  ProgressBar bar_;
  BuildOptions options_;
  std::unique_ptr<Store> store_;
  StoreInfo info_;
  bool created_ = false;  // the store, by this run: may be removed again
  BuildPlan plan_;
  std::vector<ExpertOptions> experts_;  // to add
  std::uint64_t document_count_ = 0;
  UpsertReport total_;
  BuildReport build_report_;
  std::vector<float> sample_;  // rows of calibrate_.queries
  CalibrateOptions calibrate_;
  CalibrationReport calibration_;
  std::error_code ignored_;
};

absl::Status RunBuild(const BuildArguments& arguments) {
  if (arguments.config.empty() && arguments.flags.corpora.empty()) {
    return absl::InvalidArgumentError("build: no corpus, expected --corpus NAME=FILE or --config FILE");
  }
  if (const BuildFlags& flags = arguments.flags;
      !arguments.config.empty() &&
      !(flags.corpora.empty() && flags.vectors.empty() && flags.encoder.empty() && flags.space.empty() &&
        flags.metric.empty() && !flags.lexical)) {
    return absl::InvalidArgumentError(
        "--config: given with --corpus, --vectors, --encoder, --space, --metric or --lexical, expected it to "
        "say "
        "all of that");
  }
  TRIVIUM_CLI_ASSIGN_OR_RETURN(EncoderRegistry encoders, EncoderRegistry::Load(arguments.encoder_commands));
  if (!arguments.flags.encoder.empty()) {
    TRIVIUM_CLI_RETURN_IF_ERROR(encoders.Find(arguments.flags.encoder).status());
  }
  // Parsed against an empty store only to find mistakes before the real one is opened.
  TRIVIUM_CLI_RETURN_IF_ERROR(PlanFromFlags(arguments.flags, StoreInfo()).status());
  CatchInterrupts();
  return Builder(arguments, std::move(encoders)).Run();
}

}  // namespace

void AddBuildCommand(CLI::App& app, Run* run) {
  CLI::App* command =
      app.add_subcommand("build", "Write corpora into a store and index them; creates it if absent");
  auto arguments = std::make_shared<BuildArguments>();
  AddStoreArgument(*command, arguments.get());
  command
      ->add_option(
          "--corpus", arguments->flags.corpora,
          "Documents, JSON lines {\"_id\",\"title\",\"text\",\"metadata\"}, .gz allowed; NAME becomes their "
          "partition and expert")
      ->type_name("NAME=FILE");
  command
      ->add_option("--vectors", arguments->flags.vectors,
                   "Their vectors, in the same order: .npy, .fvecs or .fbin")
      ->type_name("[SPACE:]NAME=FILE");
  command->add_option("--encoder", arguments->flags.encoder, "Encoder of texts without vectors")
      ->type_name("NAME");
  command
      ->add_option("--space", arguments->flags.space,
                   "Space of the vectors (default: the store's only one, else 'default')")
      ->type_name("NAME");
  command->add_option("--metric", arguments->flags.metric, "cosine (default), inner_product or squared_l2")
      ->type_name("METRIC");
  command->add_flag("--lexical", arguments->flags.lexical,
                    "Also an expert 'lexical' that searches the words of all documents (BM25)");
  command
      ->add_option(
          "--config", arguments->config,
          "Instead of the flags above: spaces, corpora and experts (adapters, descriptions, costs) as a JSON "
          "file; see docs/config.md")
      ->type_name("FILE");
  command
      ->add_option("--target-recall", arguments->target_recall,
                   "Find the narrowest beam that reaches this recall@10, and keep it (example: 0.95)")
      ->type_name("R");
  command
      ->add_option("--sample-vectors", arguments->sample_vectors,
                   "Queries for --target-recall: .npy, .fvecs or .fbin (default: 200 of the store's own "
                   "vectors, which are easier)")
      ->type_name("FILE");
  command
      ->add_option("--profile", arguments->profile,
                   "How vectors are stored: speed, balanced or small (default: as before, first speed)")
      ->type_name("NAME");
  command->add_option("--threads", arguments->threads, "Threads to use (default: all)")->type_name("N");
  AddEncoderCommandOption(*command, arguments.get());
  command->callback([=] { *run = [=] { return RunBuild(*arguments); }; });
}

}  // namespace trivium::cli
