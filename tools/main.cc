// The command `holdfast`: turns the table of subcommands into a parser, runs the one that was asked for, and prints
// what it returns. Everything that a subcommand can say to the outside is printed here and nowhere else, except the
// bytes of `cat`, the records of `journal dump` and the progress bar.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/check.h"
#include "base/name_text.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::ExitCode;

constexpr const char* version = "holdfast " HOLDFAST_VERSION;

// Where CLI11 puts the values of one subcommand.
struct Parsed {
    const Command* command = nullptr;
    CLI::App* app = nullptr;
    std::vector<std::string> values;  // one for every parameter; never resized once options refer to it
    std::vector<std::vector<std::string>> lists;  // the same, for those that may be given several times
    std::vector<CLI::Option*> options;
    bool json = false;
};

void print_error(const Error& error, ExitCode exit, bool json) {
    if (json) {
        Json answer{{"error", {{"code", to_string(error.code)}, {"message", name_to_text(error.message)}, {"exit", static_cast<int>(exit)}}}};
        std::printf("%s\n", cli::dump(answer).c_str());
    }
    std::fprintf(stderr, "holdfast: %s\n", error.message.c_str());
}

void add_parameter(Parsed& parsed, size_t index) {
    const Parameter& parameter = parsed.command->parameters[index];
    if (parameter.kind == Parameter::Kind::flag) {
        parsed.options[index] = parsed.app->add_flag(parameter.name, parameter.help);
        return;
    }
    const bool is_repeated = parameter.kind == Parameter::Kind::repeated;
    CLI::Option* option = is_repeated ? parsed.app->add_option(parameter.name, parsed.lists[index], parameter.help)
                                      : parsed.app->add_option(parameter.name, parsed.values[index], parameter.help);
    option->allow_extra_args(false);
    option->required(parameter.kind == Parameter::Kind::required);
    option->type_name(parameter.value);
    parsed.options[index] = option;
}

std::string about_group(std::string_view group) {
    constexpr std::pair<std::string_view, const char*> groups[] = {
        {"bookmark", "named moments: create, list, rename, delete"},
        {"journal", "what the journal holds: dump"},
        {"engine", "the service that ships volumes to other hosts: status"},
        {"peer", "the hosts that this one knows: list, revoke"},
        {"replica", "the replicas of a volume: suspend, resume, forget"},
        {"config", "the engine's configuration: check, reload"},
    };
    for (const auto& [name, about] : groups)
        if (name == group) return about;
    return "";
}

// "bookmark create" becomes `create` below `bookmark`, which is made on first use.
CLI::App* app_for(CLI::App& root, const Command& command) {
    std::string name = command.name;
    size_t space = name.find(' ');
    if (space == std::string::npos) return root.add_subcommand(name, command.summary);
    std::string group = name.substr(0, space);
    auto known = root.get_subcommands([&group](const CLI::App* app) { return app->get_name() == group; });
    CLI::App* parent = known.empty() ? nullptr : known.front();
    if (parent == nullptr) {
        parent = root.add_subcommand(group, about_group(group));
        parent->require_subcommand(1);
    }
    return parent->add_subcommand(name.substr(space + 1), command.summary);
}

std::vector<std::unique_ptr<Parsed>> build(CLI::App& root) {
    std::vector<std::unique_ptr<Parsed>> all;
    for (const Command& command : commands()) {
        auto parsed = std::make_unique<Parsed>();
        parsed->command = &command;
        parsed->app = app_for(root, command);
        parsed->app->footer(std::string("Example:\n  ") + command.example);
        parsed->values.resize(command.parameters.size());
        parsed->lists.resize(command.parameters.size());
        parsed->options.resize(command.parameters.size());
        for (size_t index = 0; index < command.parameters.size(); ++index) add_parameter(*parsed, index);
        parsed->app->add_flag("--json", parsed->json, "print one JSON document instead of text");
        all.push_back(std::move(parsed));
    }
    return all;
}

int run(const Parsed& parsed) {
    std::map<std::string, std::string, std::less<>> values;
    Arguments::Lists lists;
    for (size_t index = 0; index < parsed.options.size(); ++index) {
        const Parameter& parameter = parsed.command->parameters[index];
        if (parsed.options[index]->count() == 0) continue;
        if (parameter.kind == Parameter::Kind::repeated) lists[parameter.name] = parsed.lists[index];
        else values[parameter.name] = parsed.values[index];
    }
    auto report = parsed.command->run(Arguments(std::move(values), parsed.json, std::move(lists)));
    if (!report) {
        ExitCode exit = cli::exit_code(report.error().code);
        print_error(report.error(), exit, parsed.json);
        return static_cast<int>(exit);
    }
    if (report->printed) return static_cast<int>(report->exit);
    std::string text = parsed.json ? cli::dump(report->json) + "\n" : report->text;
    bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (std::fflush(stdout) != 0) written = false;
    if (!written && errno != EPIPE) {
        print_error(errno_error(errno, "write the result"), ExitCode::failed, false);
        return static_cast<int>(ExitCode::failed);
    }
    return static_cast<int>(report->exit);
}

// One line of CLI11's sentence, and where to look.
int usage_error(const CLI::ParseError& error, bool json) {
    std::string message = error.what();
    message = message.substr(0, message.find('\n'));
    while (!message.empty() && (message.back() == '.' || message.back() == ' ')) message.pop_back();
    print_error(Error{ErrorCode::invalid_argument, cli::printable(message) + ": `holdfast --help` and `holdfast COMMAND --help` show what can be asked"},
                ExitCode::usage, json);
    return static_cast<int>(ExitCode::usage);
}

}  // namespace

int main_of_tools(int argument_count, char** arguments) {
    // A reader that goes away (`holdfast cat ... | head`) is an ordinary end, seen as EPIPE where it is written.
    ::signal(SIGPIPE, SIG_IGN);
    CLI::App root("Holdfast records every change in a directory and brings any file, directory or the whole tree back to any past moment.",
                  "holdfast");
    root.require_subcommand(1);
    root.set_version_flag("--version", version);
    root.footer("A moment M is a bookmark, a time, an age, a position or now.\nExit codes: 0 done, 1 difference found, 2 usage, 3 not found, "
                "4 refused, 5 damaged, 6 disk, 7 unavailable.");
    auto all = build(root);
    bool wants_json = false;
    for (int index = 1; index < argument_count; ++index) wants_json |= std::string_view(arguments[index]) == "--json";
    try {
        root.parse(argument_count, arguments);
    } catch (const CLI::Success& asked_for_help) {
        return root.exit(asked_for_help);
    } catch (const CLI::ParseError& error) {
        return usage_error(error, wants_json);
    }
    for (const auto& parsed : all) {
        if (parsed->app->parsed()) return run(*parsed);
    }
    HF_CHECK(!"one subcommand is required");
    return static_cast<int>(ExitCode::usage);
}

}  // namespace holdfast::tools

int main(int argument_count, char** arguments) { return holdfast::tools::main_of_tools(argument_count, arguments); }
