#include "plugin/server/privileges.h"

#include <atomic>
#include <cstring>
#include <optional>
#include <vector>

// Exported by the server, declared in its private sql_class.h and privilege.h.
enum privilege_t : unsigned long long;

class Security_context {
 public:
  void skip_grants();
  bool check_access(privilege_t want_access, bool match_any);
  void restore_security_context(THD* thd, Security_context* backup);
};

namespace active_master {
namespace {

// Of the server's private privilege.h; mtr-tests show that it is what GRANT READ ONLY ADMIN gives.
constexpr uint64_t kReadOnlyAdmin = uint64_t{1} << 33;

// Where in a session the pointer to its security context is, and where in that its privileges are.
struct Layout {
  size_t context_in_session;
  size_t privileges_in_context;
};
std::optional<Layout> layout;

// Bytes of ours that the server takes for one of its objects: larger than any, and zero.
using Words = std::vector<uint64_t>;
constexpr size_t kContextWords = 2048;
constexpr size_t kSessionWords = 65536;

std::optional<size_t> find_privileges() {
  Words words(kContextWords);
  auto& context = *reinterpret_cast<Security_context*>(words.data());
  const auto want = static_cast<privilege_t>(kReadOnlyAdmin);
  context.skip_grants();
  if (!context.check_access(want, false)) return std::nullopt;
  std::optional<size_t> found;
  for (size_t i = 0; i < words.size(); ++i) {
    const uint64_t before = words[i];
    if ((before & kReadOnlyAdmin) == 0) continue;
    words[i] = before & ~kReadOnlyAdmin;
    if (!context.check_access(want, false)) {
      if (found) return std::nullopt;
      found = i;
    }
    words[i] = before;
  }
  return found;
}

std::optional<size_t> find_context() {
  Words session(kSessionWords);
  Words words(kContextWords);
  auto& context = *reinterpret_cast<Security_context*>(words.data());
  context.restore_security_context(reinterpret_cast<THD*>(session.data()), &context);
  std::optional<size_t> found;
  for (size_t i = 0; i < session.size(); ++i) {
    if (session[i] == 0) continue;
    if (found || session[i] != reinterpret_cast<uintptr_t>(&context)) return std::nullopt;
    found = i;
  }
  return found;
}

std::atomic_ref<uint64_t> privileges(MYSQL_THD thd) {
  char* context = nullptr;
  std::memcpy(&context, reinterpret_cast<const char*>(thd) + layout->context_in_session,
              sizeof context);
  return std::atomic_ref(*reinterpret_cast<uint64_t*>(context + layout->privileges_in_context));
}

}  // namespace

std::string learn_where_privileges_are() {
  const auto in_context = find_privileges();
  const auto in_session = find_context();
  layout.reset();
  if (!in_context || !in_session)
    return "this server keeps a session's privileges in an unknown place";
  layout = {*in_session * sizeof(uint64_t), *in_context * sizeof(uint64_t)};
  return {};
}

bool has_read_only_admin(MYSQL_THD thd) {
  return layout && (privileges(thd).load() & kReadOnlyAdmin) != 0;
}

void Withheld::take(MYSQL_THD thd) {
  if (!has_read_only_admin(thd)) return;
  left_ = privileges(thd).fetch_and(~kReadOnlyAdmin) & ~kReadOnlyAdmin;
}

void take_read_only_admin(MYSQL_THD thd) {
  if (layout) privileges(thd).fetch_and(~kReadOnlyAdmin);
}

void Withheld::give_back(MYSQL_THD thd) {
  if (left_.load(std::memory_order_relaxed) == 0) return;  // at every statement of an open fence
  uint64_t left = left_.exchange(0);
  if (left != 0) privileges(thd).compare_exchange_strong(left, left | kReadOnlyAdmin);
}

}  // namespace active_master
