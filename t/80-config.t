# SPDX-License-Identifier: Apache-2.0
# The configuration: what is broken is named with file, line, key and what is allowed; what is dumped reads back the same;
# what cannot be started says in one line what to do.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use IO::Socket::INET;
use Test::More;

my $binary = "$Headpond::build/headpond";
my $dir = Headpond->folder;

# Runs headpond on a text or a file: exit code, standard output, standard error.
sub run {
    my ($config, @options) = @_;
    my $file = $config;
    if ($config =~ /\n/) {
        $file = "$dir/test.yaml";
        Headpond::Process::spew($file, $config);
    }
    my $process = Headpond::Process->start(command => [$binary, '-c', $file, @options], log => "$dir/err", out => "$dir/out");
    my $status = $process->wait_end(20) // $process->stop_now;
    my $err = Headpond::Process::slurp("$dir/err");
    unlink "$dir/err";
    return ($status >> 8, Headpond::Process::slurp("$dir/out"), $err);
}

sub one_line {
    my ($text) = @_;
    return $text =~ /\A[^\n]+\n\z/;
}

subtest 'broken files' => sub {
    # text, what the message has to name
    my @cases = (
        ["listen:\n  - { address: \"127.0.0.1:0\" }\nflavour: mint\n", qr/test\.yaml:3\b.*flavour/],
        ["accounts:\n  - name: acct\n    colour: red\n", qr/test\.yaml:3\b.*colour/],
        ["memory: lots\n\n", qr/test\.yaml:1\b.*memory/],
        ["memory: 1KiB\n\n", qr/test\.yaml:1\b.*memory.*64MiB/],
        ["workers: -1\n\n", qr/test\.yaml:1\b.*workers/],
        ["block_size: 3MiB\n\n", qr/test\.yaml:1\b.*block_size/],
        ["header_timeout: 5 bananas\n\n", qr/test\.yaml:1\b.*header_timeout/],
        ["log_level: loud\n\n", qr/test\.yaml:1\b.*log_level.*debug/],
        ["accounts:\n  - name: acct\n    authorize: maybe\n", qr/test\.yaml:3\b.*authorize.*origin.*key.*none/],
        ["accounts:\n  - name: acct\n    freshness: soon\n", qr/test\.yaml:3\b.*freshness.*immutable/],
        ["accounts:\n  - name: Acct\n\n", qr/test\.yaml:2\b.*name/],
        ["accounts:\n  - name: acct\n    origin: ftp://x\n", qr/test\.yaml:3\b.*origin.*http/],
        ["accounts:\n  - origin: http://x\n\n", qr/test\.yaml:2\b.*name/],
        ["accounts:\n  - name: acct\n  - name: acct\n", qr/test\.yaml:3\b.*acct/],
        ["store:\n  - { path: /x, size: 1GiB }\naccounts:\n  - name: acct\n    reserve: 2GiB\n", qr/test\.yaml:5\b.*reserve.*store's size/],
        ["listen: 8080\n\n", qr/test\.yaml:1\b.*listen/],
        ["listen:\n  - { address: \"nowhere\" }\n", qr/test\.yaml:2\b.*address/],
        ["listen:\n  - { address: \"127.0.0.1:99999\" }\n", qr/test\.yaml:2\b.*address/],
        ["listen:\n  - { address: \"127.0.0.1:0\", certificate: a.crt }\n", qr/test\.yaml:2\b.*key/],
        ["listen:\n  - { address: \"0.0.0.0:0\" }\naccounts:\n  - name: \"*\"\n", qr/test\.yaml:\d+\b.*allow_any_account/],
        ["memory: 128MiB\nmemory: 256MiB\n", qr/test\.yaml:2\b.*memory/],
        ["memory: [1, 2]\n\n", qr/test\.yaml:1\b.*memory/],
        ["memory: {a: 1\n\n", qr/test\.yaml:\d/],
        ["- a\n- b\n", qr/test\.yaml:1/],
        ["a: &x [*x]\n\n", qr/test\.yaml:1/],
        ["store:\n  - { path: /x, size: 1MiB }\n", qr/test\.yaml:2\b.*size/],
        ["\xff\xfe\n\n", qr/test\.yaml/],
    );
    for (@cases) {
        my ($text, $expected) = @$_;
        my ($code, $out, $err) = run($text, '-t');
        my $what = $text =~ s/\n/\\n/gr =~ s/[^\x20-\x7e]/?/gr;
        is($code, 1, "$what: exit 1");
        like($err, $expected, "$what: named");
        ok(one_line($err), "$what: in one line") or diag($err);
    }
};

subtest 'good files' => sub {
    for my $text ("{}\n", "{\"workers\": 1,\n\"accounts\": []}\n", "# nothing\nworkers: 2\n",
        "store:\n  - { path: $dir, size: 1GiB }\naccounts:\n  - name: acct\n    freshness: immutable\n    containers: [{ name: a-b, freshness: 0s }]\n") {
        my ($code, $out, $err) = run($text, '-t');
        is($code, 0, 'passes -t: ' . $text =~ s/\n/\\n/gr) or diag($err);
    }
};

subtest 'README\'s examples load' => sub {
    my @examples = Headpond::Process::slurp("$Headpond::source/README.md") =~ /^```yaml\n(.*?)^```$/msg;
    cmp_ok(scalar @examples, '>=', 5, 'there are some');
    for my $text (@examples) {
        my ($code, $out, $err) = run($text, '--dump-config'); # the files they name are not here
        is($code, 0, $text =~ s/\n/\\n/gr) or diag($err);
    }
};

subtest 'the sample passes' => sub {
    my ($code, $out, $err) = run("$Headpond::source/conf/headpond.yaml", '-t');
    is($code, 0, 'conf/headpond.yaml') or diag($err);
};

subtest 'what has no effect yet is told' => sub {
    my ($code, $out, $err) = run("workers: 1\ncontrol: /run/x\naccounts:\n  - name: acct\n", '-t');
    is($code, 0, 'it is good all the same') or diag($err);
    is_deeply([map { /test\.yaml:(.*)$/ } split /\n/, $err], ['2: control: has no effect in this version', ' the configuration is good'], 'but told by -t');
    my $pond = Headpond->start(config => { control => '/run/x' });
    ok($pond->wait_log(qr{ warn config-note \S+headpond\.yaml:\d+: control: has no effect in this version$}m), 'and by the log');
    $pond->stop;
};

subtest 'disks that memory has no room for' => sub {
    my $text = "memory: 64MiB\nblock_size: 64KiB\nlisten:\n  - { address: \"127.0.0.1:0\" }\nadmin: \"127.0.0.1:0\"\n"
        . "store:\n  - { path: $dir/much, size: 1024TiB }\n";
    my ($code, undef, $err) = run($text, '-t');
    is($code, 0, 'by -t they are not refused: it does not look at disks');
    like($err, qr/store: file systems of that size take \d+ MiB of memory, and the start refuses more than half of `memory`/, 'but told');
    ($code, undef, $err) = run($text);
    is($code, 1, 'by the start they are refused');
    like($err, qr/much: its \d+ blocks take \d+ MiB of memory, and at most half of `memory` may go to that: raise memory to \d+ MiB/,
        'with what to change') or diag($err);
    ok(one_line($err), 'in a line');
};

subtest '--dump-config reads back the same' => sub {
    my $text = <<"YAML";
listen:
  - { address: "127.0.0.1:0" }
memory: 128MiB
header_timeout: 1500ms
store:
  - { path: "$dir/a b\\"c", size: 2GiB }
accounts:
  - name: acct
    origin: "http://127.0.0.1:10000/acct"
    freshness: immutable
    pinned_reads: trust
    containers:
      - { name: one, freshness: 7s }
  - name: "*"
YAML
    my ($code, $first, $err) = run($text, '--dump-config');
    is($code, 0, 'dumped') or diag($err);
    my ($again, $second) = run($first, '--dump-config');
    is($second, $first, 'and again');
    like($first, qr/header_timeout: *"?1500ms/, 'what was set is there');
    like($first, qr/idle_timeout: *"?75s/, 'and what was not');
    my ($third, $checked) = run($first, '-t');
    is($third, 0, 'it passes -t');
};

subtest 'command line' => sub {
    for my $case ([['--version'], 0, qr/^headpond \d/], [['--help'], 0, qr/usage/i], [['--nonsense'], 2, qr/usage/i], [['-c'], 2, qr/usage/i]) {
        my ($options, $expected, $text) = @$case;
        my $process = Headpond::Process->start(command => [$binary, @$options], log => "$dir/cli", out => "$dir/cli-out");
        is(($process->wait_end(20) // $process->stop_now) >> 8, $expected, "@$options: exit code");
        like(Headpond::Process::slurp("$dir/cli") . Headpond::Process::slurp("$dir/cli-out"), $text, "@$options: text");
        unlink "$dir/cli", "$dir/cli-out";
    }
};

# What cannot be started ends with 1 and one line that names the thing.
sub refuses {
    my ($what, $pattern, %change) = @_;
    my @options = @{ delete $change{options} // [] };
    my $pond = Headpond->new(config => \%change);
    my ($code, $out, $err) = run("$pond->{dir}/headpond.yaml", @options);
    $what = "@options $what";
    is($code, 1, "$what: exit 1");
    my @lines = grep { / error |^headpond: |^[^ ]*:\d*:? / } split /\n/, $err;
    is(scalar @lines, 1, "$what: one line") or diag($err);
    like($err, $pattern, "$what: says what") or diag($err);
}

subtest 'what cannot be started' => sub {
    my %pair = %Headpond::tls;
    for my $options ([], ['-t']) {
        my @how = (options => $options);
        refuses('no such file of certificates', qr{/nowhere/tls\.crt}, @how, listen => [{ address => '127.0.0.1:0', certificate => '/nowhere/tls.crt', key => $pair{key} }]);
        refuses('no such key', qr{/nowhere/tls\.key}, @how, listen => [{ address => '127.0.0.1:0', certificate => $pair{certificate}, key => '/nowhere/tls.key' }]);
        refuses('a certificate that is none', qr/\Q$pair{key}\E/, @how, listen => [{ address => '127.0.0.1:0', certificate => $pair{key}, key => $pair{key} }]);
        refuses('no such CA file', qr{/nowhere/ca\.crt}, @how, accounts => [{ name => 'acct', origin => 'https://127.0.0.1:9/acct', origin_ca => '/nowhere/ca.crt' }]);
        refuses('a CA file that is none', qr/\Q$pair{key}\E.*PEM/, @how, accounts => [{ name => 'acct', origin => 'https://127.0.0.1:9/acct', origin_ca => $pair{key} }]);
    }
    # A key file, a SAS file and an identity that are not good: a line each, naming file and account.
    Headpond::Process::spew("$dir/bad.key", "c2VjcmV0LXRleHQ\n");
    my @accounts = (
        { name => 'keys', authorize => 'key', key_file => "$dir/bad.key" },
        { name => 'good' },
        { name => 'sas', identity => "sas:/nowhere/token" },
        { name => 'workload', identity => 'workload' },
    );
    local $ENV{AZURE_FEDERATED_TOKEN_FILE};
    delete $ENV{AZURE_FEDERATED_TOKEN_FILE};
    my $bad = Headpond->new(config => { accounts => \@accounts });
    my ($not, $nothing, $told) = run("$bad->{dir}/headpond.yaml", '-t');
    is($not, 1, '-t with credentials that are not good: exit 1');
    my @told = grep { /^headpond: / } split /\n/, $told;
    is(scalar @told, 3, 'a line each') or diag($told);
    like($told[0], qr{^headpond: key file \Q$dir\E/bad\.key:1: .*\(account keys\)$}, 'a key file');
    like($told[1], qr{^headpond: SAS file /nowhere/token .*\(account sas\)$}, 'a SAS file');
    like($told[2], qr{^headpond: .*AZURE_.*\(account workload\)$}, 'an identity without its environment');
    unlike($told, qr/c2VjcmV0/, 'and no key');
    refuses('a key file that is none', qr{\Q$dir\E/bad\.key:1: .*account keys}, accounts => [$accounts[0]]);

    my $busy = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1:0') or die;
    my $port = $busy->sockport;
    refuses('a busy port', qr/127\.0\.0\.1:$port/, listen => [{ address => "127.0.0.1:$port" }]);
    refuses('a busy admin port', qr/127\.0\.0\.1:$port/, admin => "127.0.0.1:$port");
    refuses('an address that is not ours', qr/192\.0\.2\.1:80/, listen => [{ address => '192.0.2.1:80' }], accounts => [{ name => 'acct' }]);
    open my $file, '>', "$dir/plain" or die;
    close $file;
    refuses('a store that is a file', qr{\Q$dir\E/plain}, store => [{ path => "$dir/plain", size => '1GiB' }]);
    mkdir "$dir/shared" or die $!;
    chmod 01777, "$dir/shared" or die $!;
    refuses('a store that others may write to', qr{^[^\n]*\Q$dir\E/shared: may be written to by other users \(mode 1777\); chmod go-w}m,
        store => [{ path => "$dir/shared", size => '1GiB' }]);
    mkdir "$dir/home" or die $!;
    chmod 0700, "$dir/home" or die $!;
    open my $letter, '>', "$dir/home/letter.txt" or die;
    close $letter;
    refuses('a store among others\' files', qr{\Q$dir\E/home: holds files that are not headpond's \(letter\.txt\); give an empty directory},
        store => [{ path => "$dir/home", size => '1GiB' }]);
    refuses('a store that cannot be made', qr{/proc/headpond}, store => [{ path => '/proc/headpond', size => '1GiB' }]);
    my ($code, $out, $err) = run('/nowhere/headpond.yaml');
    is($code, 1, 'no such file: exit 1');
    like($err, qr{/nowhere/headpond\.yaml}, 'no such file: named');
};

subtest 'the unit comes back by itself' => sub {
    my $unit = Headpond::Process::slurp("$Headpond::source/systemd/headpond.service.in");
    my %in;
    /^\[(\w+)\]\n(.*)/s and $in{$1} = $2 for split /^(?=\[)/m, $unit;
    like($in{Unit}, qr/^StartLimitIntervalSec=0$/m, 'however often its start has failed');
    like($in{Service}, qr/^Restart=on-failure\nRestartSec=[5-9]$/m, 'at a pace');
};

subtest 'one store, one process' => sub {
    my $pond = Headpond->start;
    my $second = Headpond->new(config => { store => [{ path => "$pond->{dir}/store", size => '1GiB' }] });
    my ($code, $out, $err) = run("$second->{dir}/headpond.yaml");
    is($code, 1, 'the second is refused');
    like($err, qr{\Q$pond->{dir}\E/store}, 'and told why');
    $pond->stop;
};

done_testing();
