# SPDX-License-Identifier: Apache-2.0
# Real clients, unmodified, against a real Blob service through headpond: the npm package, the Python SDK, rclone. Each
# lists, uploads, downloads whole and in ranges, reads properties and deletes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Headpond;
use Headpond::Azurite;
use Test::More;

my $ACCOUNT = $Headpond::Azurite::account;
my $KEY = $Headpond::Azurite::key;

push @Headpond::Origin::secrets, $KEY;

my ($node, $modules) = (Headpond::Azurite::node(), Headpond::Azurite::modules());
plan skip_all => 'the Blob service is not installed; contrib/check installs it' unless Headpond::Azurite::installed();

my $dir = Headpond->folder;
my $azurite = Headpond::Azurite->start;
my $port = $azurite->{port};

Headpond::Process::spew("$dir/key", "$KEY\n");

# Runs a client to its end; its output goes to the test's when it fails.
sub run_client {
    my ($what, $env, @command) = @_;
    my ($status, $out, $errors) = Headpond::Process->run(command => \@command, env => $env);
    is($status, 0, $what) or diag("$out$errors");
    return $out;
}

# Who says yes: the service, asked by the client's own signature each time, or headpond by the account's key.
my %accounts = (origin => {}, key => { key_file => "$dir/key", authorize => 'key' });
for my $mode (qw(origin key)) {
    my $pond = Headpond->start(config => {
        accounts => [{ name => $ACCOUNT, origin => "http://127.0.0.1:$port/$ACCOUNT", %{ $accounts{$mode} } }] });
    my $endpoint = "http://$pond->{http}/$ACCOUNT";
    my $reads = sub { $pond->metric('headpond_requests_total', method => 'GET', cache => $_[0]) // 0 };

    subtest "$mode: \@azure/storage-blob" => sub {
        my $before = $pond->metric('headpond_requests_total', cache => 'hit');
        my $out = run_client('every step', { NODE_PATH => $modules }, $node, "$Headpond::source/t/clients/storage_blob.js", $endpoint, $ACCOUNT, $KEY, 'from-js');
        like($out, qr/^delete: ok/m, 'to the last');
        cmp_ok($pond->metric('headpond_requests_total', cache => 'hit'), '>', $before, 'reads by SAS hit');
    };

    subtest "$mode: azure-storage-blob for Python" => sub {
        plan skip_all => 'python3-azure-storage is not installed' if system("/usr/bin/python3 -c 'import azure.storage.blob' 2>/dev/null");
        my $before = $pond->metric('headpond_requests_total', cache => 'hit');
        my $out = run_client('every step', {}, '/usr/bin/python3', "$Headpond::source/t/clients/storage_blob.py", $endpoint, $ACCOUNT, $KEY, 'from-python');
        like($out, qr/^delete: ok/m, 'to the last');
        cmp_ok($pond->metric('headpond_requests_total', cache => 'hit'), '>', $before, 'reads by SAS hit');
    };

    subtest "$mode: rclone" => sub {
        plan skip_all => 'rclone is not installed' if system('command -v rclone >/dev/null');
        my %env = (RCLONE_CONFIG => "$dir/rclone.conf", RCLONE_CONFIG_POND_TYPE => 'azureblob', RCLONE_CONFIG_POND_ACCOUNT => $ACCOUNT,
            RCLONE_CONFIG_POND_KEY => $KEY, RCLONE_CONFIG_POND_USE_EMULATOR => 'true', RCLONE_CONFIG_POND_ENDPOINT => $endpoint);
        my @rclone = ('rclone', '--retries', '1', '--low-level-retries', '1');
        mkdir $_ for "$dir/files", "$dir/files/sub";
        my %size = ('files/empty' => 0, 'files/small' => 1000, 'files/sub/large' => (9 << 20) + 7);
        for my $name (keys %size) {
            Headpond::Process::spew("$dir/$name", pack 'N*', map { int rand 2**32 } 1 .. $size{$name} / 4);
        }
        run_client('make a container', \%env, @rclone, 'mkdir', 'pond:from-rclone');
        run_client('upload', \%env, @rclone, 'copy', "$dir/files", 'pond:from-rclone');
        my $list = run_client('list', \%env, @rclone, 'lsf', '-R', '--files-only', 'pond:from-rclone');
        is(join(' ', sort split /\n/, $list), 'empty small sub/large', 'all three');
        run_client('compare what is there', \%env, @rclone, 'check', '--download', "$dir/files", 'pond:from-rclone');
        run_client('download', \%env, @rclone, 'copy', 'pond:from-rclone', "$dir/back-$mode");
        is(system('diff', '-r', "$dir/files", "$dir/back-$mode"), 0, 'what came back is what went');
        my $range = run_client('a range', \%env, @rclone, 'cat', '--offset', '5000000', '--count', '1000', 'pond:from-rclone/sub/large');
        open my $file, '<', "$dir/files/sub/large" or die;
        seek $file, 5_000_000, 0;
        read $file, my $expected, 1000;
        ok($range eq $expected, 'the right bytes');
        run_client('properties', \%env, @rclone, 'lsjson', 'pond:from-rclone/small');
        run_client('delete', \%env, @rclone, 'purge', 'pond:from-rclone');
    };

    # What remains of bypasses are lists; by the service's word every read that is signed by the key is one.
    my ($hits, $bypasses) = ($reads->('hit'), $reads->('bypass'));
    cmp_ok($hits, $mode eq 'key' ? '>' : '<', 10 * $bypasses, "$mode: $hits hits and $bypasses bypasses among reads");
    $pond->stop;
}

$azurite->stop;
done_testing();
