# SPDX-License-Identifier: Apache-2.0
# The az command, unmodified: downloads one blob and a whole container through headpond, cold and warm, by account key and by
# SAS before Azurite, and one blob by the token of a login before the scripted origin. contrib/clients runs this.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Headpond;
use Headpond::Authority;
use Headpond::Azurite;
use POSIX ();
use Test::More;

my ($ACCOUNT, $KEY) = ($Headpond::Azurite::account, $Headpond::Azurite::key);
push @Headpond::Origin::secrets, $KEY;
my %size = (empty => 0, 'dir/small' => 1000, 'dir/large' => (40 << 20) + 7); # the first GET takes 32 MiB, the next ones 4 MiB

my $dir = Headpond->folder;
my $azurite = Headpond::Azurite->start;
Headpond::Process::spew("$dir/key", "$KEY\n");

# Runs az, with a folder of its own for what it remembers: the wait status, what it printed and what it complained of.
sub run_az {
    my ($folder, @arguments) = @_;
    return Headpond::Process->run(command => ['az', @arguments], env => { AZURE_CONFIG_DIR => $folder,
        AZURE_CORE_COLLECT_TELEMETRY => 'no', AZURE_CORE_ONLY_SHOW_ERRORS => 'yes', REQUESTS_CA_BUNDLE => $Headpond::tls{certificate} });
}

# Runs az storage; what it printed.
sub az {
    my ($what, $pond, @arguments) = @_;
    my ($status, $out, $errors) = run_az("$dir/azure", 'storage', @arguments, '--blob-endpoint', "http://$pond->{http}/$ACCOUNT");
    is($status, 0, $what) or diag("$out$errors");
    return $out;
}

# Who says yes: headpond by the account's key, or the service.
sub start_pond {
    my ($authorize) = @_;
    my %key = $authorize eq 'key' ? (key_file => "$dir/key") : ();
    return Headpond->start(config => { accounts => [{ name => $ACCOUNT, origin => "http://$azurite->{address}/$ACCOUNT",
        authorize => $authorize, freshness => '3600s', authorize_ttl => '3600s', %key }] });
}

mkdir $_ for "$dir/files", "$dir/files/dir";
for my $name (keys %size) {
    Headpond::Process::spew("$dir/files/$name", pack 'N*', map { int rand 2**32 } 1 .. ($size{$name} + 3) / 4);
    truncate "$dir/files/$name", $size{$name} or die;
}
my $sas;

subtest 'upload' => sub {
    my $pond = start_pond('key');
    my @key = ('--account-key', $KEY);
    az('make a container', $pond, 'container', 'create', '-n', 'data', @key);
    az('upload', $pond, 'blob', 'upload-batch', '--no-progress', '-d', 'data', '-s', "$dir/files", @key);
    $sas = az('sign', $pond, 'container', 'generate-sas', '-n', 'data', '--permissions', 'rl', '--expiry',
        POSIX::strftime('%Y-%m-%dT%H:%MZ', gmtime(time + 86400)), '-o', 'tsv', @key);
    chomp $sas;
    my ($sig) = $sas =~ /\bsig=([^&]+)/ or BAIL_OUT("no signature in what az printed");
    push @Headpond::Origin::secrets, $sig, $sig =~ s/%(..)/chr hex $1/ger;
    $pond->stop;
};

for (['account key', 'key'], ['SAS', 'key'], ['SAS', 'origin']) {
    my ($credential, $authorize) = @$_;
    subtest "$credential, authorize: $authorize" => sub {
        my @credential = $credential eq 'SAS' ? ('--sas-token', $sas) : ('--account-key', $KEY);
        my $pond = start_pond($authorize);
        my %asked;
        for my $when (qw(cold warm)) {
            my @before = $azurite->reads;
            my $back = Headpond->folder;
            az("$when: download", $pond, qw(blob download --no-progress -c data -n dir/large -f), "$back/large", @credential);
            is(system('cmp', "$dir/files/dir/large", "$back/large"), 0, "$when: the same bytes");
            mkdir "$back/all";
            az("$when: download-batch", $pond, qw(blob download-batch --no-progress -s data -d), "$back/all", @credential);
            is(system('diff', '-r', "$dir/files", "$back/all"), 0, "$when: the same files");
            $pond->settle;
            my @after = $azurite->reads;
            $asked{$when} = [map { $after[$_] - $before[$_] } 0, 1];
            note("$when: reads at the origin: $asked{$when}[0], with data: $asked{$when}[1]");
        }
        cmp_ok($asked{cold}[1], '>', 0, 'cold: data came from the origin');
        is($asked{warm}[1], 0, 'warm: none did');
        cmp_ok($asked{warm}[0], '<=', 1, 'it was asked whether the empty blob has grown');
        is($pond->metric('headpond_requests_total', method => 'GET', cache => 'bypass'), 2, 'only the lists were passed through');
        $pond->stop;
    };
}

$azurite->stop;

# A folder in which az is logged in at the authority, which is a cloud to it; 'adfs' is the tenant whose authority it takes
# unasked.
sub logged_in {
    my ($authority) = @_;
    my $folder = Headpond->folder;
    for ([qw(cloud register -n pond --endpoint-resource-manager), $authority->{url}], [qw(cloud set -n pond)],
        [qw(login --service-principal --tenant adfs --allow-no-subscriptions -u), $Headpond::Authority::client, '-p', $Headpond::Authority::secret]) {
        my ($status, $out, $errors) = run_az($folder, @$_);
        is($status, 0, "az @$_[0 .. 1]") or diag("$out$errors");
    }
    return $folder;
}

subtest 'token of a login' => sub {
    my $size = $size{'dir/large'};
    my $origin = Headpond::Origin->start(tls => 1);
    $origin->account('acct', challenge => 1);
    $origin->container('acct/data');
    $origin->blob('/acct/data/large', size => $size, seed => 1);
    my $data = $origin->bytes('/acct/data/large', undef, $origin->sas('/acct/data'));
    my $authority = Headpond::Authority->start;
    my $pond = Headpond->start(config => { accounts => [{ name => 'acct', origin => "https://$origin->{tls_address}/acct",
        origin_ca => $Headpond::tls{certificate}, freshness => '3600s', authorize_ttl => '3600s' }] });
    my $download = sub {
        my ($folder, $file) = @_;
        return run_az($folder, qw(storage blob download --auth-mode login --no-progress -c data -n large -f), $file,
            '--blob-endpoint', "https://$pond->{https}/acct");
    };

    $authority->gives($origin->bearer('/acct/data'));
    my $reader = logged_in($authority);
    for my $when (qw(cold warm)) {
        my $back = Headpond->folder;
        $origin->reset_stats;
        my ($status, $out, $errors) = $download->($reader, "$back/large");
        is($status, 0, "$when: download") or diag("$out$errors");
        ok(Headpond::Process::slurp("$back/large") eq $data, "$when: the same bytes");
        $pond->settle;
        my ($asked, $brought) = ($origin->stats->{requests}, $origin->data_requests);
        note("$when: requests at the origin: $asked, with data: $brought");
        $when eq 'cold' ? cmp_ok($brought, '>', 0, 'data came from the origin') : is($asked, 0, 'the origin was not asked');
    }
    is($pond->metric('headpond_requests_total', method => 'GET', cache => 'bypass'), 0, 'nothing was passed through');

    $authority->gives($origin->bearer('/acct/data', unknown => 1));
    my $stranger = logged_in($authority);
    my $hits = $pond->metric('headpond_requests_total', cache => 'hit');
    $origin->reset_stats;
    my ($status, $out, $errors) = $download->($stranger, "$dir/stolen");
    isnt($status, 0, 'a token that the origin does not know: it fails');
    like("$out$errors", qr/InvalidAuthenticationInfo/, 'refused in the origin\'s words');
    ok(!-s "$dir/stolen", 'without a byte');
    is($pond->metric('headpond_requests_total', cache => 'hit'), $hits, 'by no hit');
    cmp_ok($origin->stats->{requests}, '>', 0, 'the origin was asked');
    $pond->stop;
    $authority->stop;
    $origin->stop;
};

done_testing();
