#include "live/page_files.h"

#include <string>

namespace dashf::live {

// Made of page/ by cmake/embed.cmake.
extern const std::string_view kPageHtml, kPageCss, kPageJs, kChartsJs, kViewsJs, kIconSvg;

namespace {

constexpr char kHtml[] = "text/html; charset=utf-8";
constexpr char kScript[] = "text/javascript; charset=utf-8";

// /rounds, /rounds/7 and /users/u3 are one page, which shows what its address says.
bool IsView(std::string_view path) {
  if (path == "/" || path == "/rounds") return true;
  for (const std::string_view of : {"/rounds/", "/users/"}) {
    if (path.starts_with(of) && path.size() > of.size() &&
        path.find('/', of.size()) == std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<PageFileBytes> PageFile(std::string_view path) {
  if (IsView(path)) return PageFileBytes{kHtml, kPageHtml};
  if (path == "/page.css") return PageFileBytes{"text/css; charset=utf-8", kPageCss};
  if (path == "/page.js") return PageFileBytes{kScript, kPageJs};
  if (path == "/charts.js") return PageFileBytes{kScript, kChartsJs};
  if (path == "/views.js") return PageFileBytes{kScript, kViewsJs};
  // What browsers ask for with pages that name none, as a report.
  if (path == "/icon.svg" || path == "/favicon.ico")
    return PageFileBytes{"image/svg+xml", kIconSvg};
  return std::nullopt;
}

}  // namespace dashf::live
