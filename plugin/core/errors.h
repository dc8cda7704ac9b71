// The one catalogue of what can go wrong for a person: number, when, and what to do. The numbers
// are MySQL error numbers of our own (the server and its engines end below 5000, proxies use 9000
// to 9999), raised with SQLSTATE 'AM000'.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace active_master {

enum class ErrorCode : uint32_t {
  kNone = 0,
  kUnconfigured = 33301,
  kNotBootstrapped = 33302,
  kAlreadyBootstrapped = 33303,
  kPeersNotReady = 33304,
  kBadName = 33305,
  kUnknownNode = 33306,
  kAlreadyActive = 33307,
  kBusy = 33308,
  kCandidateUnreachable = 33309,
  kCheckFailed = 33310,
  kCandidateLags = 33311,
  kProxiesDidNotHold = 33312,
  kDrainTimeout = 33313,
  kStepFailed = 33314,
  kCatchUpTimeout = 33315,
  kCancelled = 33316,
  kDirectorUnreachable = 33317,
  kOutcomeUnknown = 33318,
  kSuperseded = 33319,
  kStopping = 33320,
  kTimeout = 33321,
  kBadRequest = 33322,
  kInTransaction = 33323,
  kUnknownProxy = 33330,
  kProxyNameTaken = 33331,
  kRegisterElsewhere = 33332,
  kUnknownSwitchover = 33333,
  kDiverged = 33340,
  kCantFollow = 33341,
  kMasterAlive = 33350,
  kNotFenced = 33351,
  kOthersAhead = 33352,
  kNoPromise = 33353,
  kVetoed = 33354,
  kMayLack = 33355,
};

inline constexpr const char* kSqlState = "AM000";

struct Error {
  ErrorCode code = ErrorCode::kNone;
  std::string text;

  explicit operator bool() const { return code != ErrorCode::kNone; }
};

struct ErrorEntry {
  ErrorCode code;
  const char* when;
  const char* remedy;
};

// Every code but kNone, in order.
[[nodiscard]] const std::vector<ErrorEntry>& error_catalogue();

// "what happened: remedy of the catalogue", as a person shall read it.
[[nodiscard]] Error make_error(ErrorCode code, const std::string& what);

// The catalogue as the table in docs/reference.md.
[[nodiscard]] std::string errors_as_markdown();

}  // namespace active_master
