#include "app/manual/help_examples.h"

#include <map>
#include <vector>

namespace ferry::app {
namespace {

using Examples = std::vector<Example>;

const std::map<std::string_view, Examples, std::less<>>& table() {
  static const std::map<std::string_view, Examples, std::less<>> examples{
      {"push",
       {{"ferry push report.csv --to sftp://drop@b.example.org/inbox", "deliver one file, once"},
        {"ferry push /srv/out --to warehouse",
         "all below a directory, to a configured destination"},
        {"ferry push /srv/out --to warehouse --watch", "and what lands there from now on"}}},
      {"watch",
       {{"ferry watch", "watch the configured landing areas, as the service does"},
        {"ferry watch --once", "register what is there, then end"},
        {"ferry watch --landing /srv/in --metastore /var/lib/ferry", "without a configuration"}}},
      {"upload",
       {{"ferry upload --as reports/today.csv out.csv", "place a file under another name"},
        {"ferry upload --as dumps/shop.sql -- pg_dump shop",
         "what a command writes, if it ends well"},
        {"ferry upload --as in/ a.csv b.csv --no-clobber", "both or none, and never over others"}}},
      {"transfer",
       {{"ferry transfer", "deliver what is pending, to all destinations"},
        {"ferry transfer --to warehouse --date yesterday", "one day's files to one of them"},
        {"ferry transfer --dry-run", "what would go where, under which name"}}},
      {"status",
       {{"ferry status", "counts, and what waits the longest"},
        {"ferry status --destination warehouse", "of one destination"},
        {"ferry status --check", "for Nagios, Icinga and their like"}}},
      {"notify",
       {{"ferry notify", "tell what is new since the last time; once a minute, from cron"},
        {"ferry notify --config /etc/ferry/ferry.toml", "of this configuration"},
        {"systemd-run --on-calendar=minutely ferry notify", "by a timer, until the next boot"}}},
      {"expect",
       {{"ferry expect", "today's files, and whether they have come"},
        {"ferry expect --date yesterday", "of another day"},
        {"ferry expect --json | jq 'select(.state == \"late\")'", "what is late"}}},
      {"list",
       {{"ferry list --status failed,quarantined", "what is stuck, and why"},
        {"ferry list --match '*.csv' --since 2h --sort size",
         "large ones of the last two hours first"},
        {"ferry list --follow", "what happens from now on"}}},
      {"history",
       {{"ferry history report.csv", "all that is recorded about a path"},
        {"ferry history 01939c5e-7d2f-7e61-9a3b-0e6f6c1d2a3b", "one version of it"},
        {"ferry history report.csv --json | jq .transfers", "for programs"}}},
      {"verify",
       {{"ferry verify BATCH.control.json --root /srv/inbox",
         "at the receiver: is all of it there?"},
        {"ferry verify --date yesterday --destination warehouse", "from the sender: a day's files"},
        {"ferry verify BATCH_ID --destination warehouse --readback", "read back every byte"}}},
      {"retry",
       {{"ferry retry --failed", "give all that failed its attempts back"},
        {"ferry retry report.csv", "one file"},
        {"ferry retry --failed --destination warehouse", "of one destination"}}},
      {"resend",
       {{"ferry resend report.csv", "deliver again what a destination lost"},
        {"ferry resend BATCH_ID", "all files of a batch"},
        {"ferry resend report.csv --destination lake", "to one destination only"}}},
      {"quarantine",
       {{"ferry quarantine list", "what waits for a person, and why"},
        {"ferry quarantine release report.csv", "deliver it all the same"},
        {"ferry quarantine drop report.csv", "delete it for good"}}},
      {"doctor",
       {{"ferry doctor", "is everything in order, from here to the destinations?"},
        {"ferry doctor --to warehouse", "with one destination only"},
        {"ferry doctor --json", "for programs"}}},
      {"config",
       {{"ferry config init", "write a first configuration, and try it out"},
        {"ferry config check", "find mistakes"},
        {"ferry config show", "what is in effect, with all keys"}}},
      {"compact",
       {{"ferry compact", "move settled files out of the tables"},
        {"ferry compact --keep 90d", "those of the last 90 days stay"},
        {"ferry compact --json", "for programs"}}},
      {"serve",
       {{"ferry serve", "take uploads on 127.0.0.1:8022, and show the page there"},
        {"ferry serve --watch --transfer", "all of ferry in one process"},
        {"ferry serve --listen 127.0.0.1:8080", "on another port"}}},
      {"token",
       {{"ferry token new shop --upload partners/shop", "for one directory of a landing area"},
        {"ferry token list", "who has one, and what for"},
        {"ferry token revoke shop", "from now on it is good for nothing"}}},
      {"import",
       {{"ferry import rows.jsonl", "enter rows that another program wrote"},
        {"jq -c '.[]' rows.json | ferry import -", "from a pipe"},
        {"ferry import --from /var/lib/ferry", "all of another metastore"}}},
      {"metastore",
       {{"ferry metastore upgrade", "of the configured database, after an upgrade of ferry"},
        {"ferry metastore upgrade --metastore postgresql:///ferry", "of another"},
        {"ferry metastore upgrade --json", "for programs"}}},
      {"completion",
       {{"source <(ferry completion bash)", "in this shell, until it ends"},
        {"ferry completion zsh > ~/.zfunc/_ferry", "with ~/.zfunc in zsh's fpath"},
        {"ferry completion fish | source", "in this fish, until it ends"}}},
  };
  return examples;
}

}  // namespace

std::span<const Example> examples_of(std::string_view command) {
  const auto found = table().find(command);
  return found == table().end() ? std::span<const Example>() : found->second;
}

}  // namespace ferry::app
