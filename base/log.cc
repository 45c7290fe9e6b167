#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace holdfast {
namespace {

spdlog::logger& logger() {
    static auto instance = [] {
        auto made = spdlog::stderr_logger_mt("holdfast");
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
        made->flush_on(spdlog::level::info);
        return made;
    }();
    return *instance;
}

}  // namespace

void log_info(std::string_view message) {
    logger().info("{}", message);
}

void log_warning(std::string_view message) {
    logger().warn("{}", message);
}

void log_error(std::string_view message) {
    logger().error("{}", message);
}

}  // namespace holdfast
