# SPDX-License-Identifier: Apache-2.0
# The az command, unmodified, before Azurite: downloads one blob and a whole container through headpond, by account key and by
# SAS, cold and warm. contrib/clients runs this.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Headpond;
use Headpond::Azurite;
use POSIX ();
use Test::More;

plan skip_all => 'azure-cli is not there' if system('command -v az >/dev/null');

my ($ACCOUNT, $KEY) = ($Headpond::Azurite::account, $Headpond::Azurite::key);
push @Headpond::Origin::secrets, $KEY;
my %size = (empty => 0, 'dir/small' => 1000, 'dir/large' => (40 << 20) + 7); # the first GET takes 32 MiB, the next ones 4 MiB

my $dir = Headpond->folder;
my $azurite = Headpond::Azurite->start;
open my $key_file, '>', "$dir/key" or die;
print $key_file "$KEY\n";
close $key_file;

# Runs az; what it printed.
sub az {
    my ($what, $pond, @arguments) = @_;
    my ($status, $out, $errors) = Headpond::Process->run(
        command => ['az', 'storage', @arguments, '--blob-endpoint', "http://$pond->{http}/$ACCOUNT"],
        env => { AZURE_CONFIG_DIR => "$dir/azure", AZURE_CORE_COLLECT_TELEMETRY => 'no', AZURE_CORE_ONLY_SHOW_ERRORS => 'yes' });
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
    open my $file, '>', "$dir/files/$name" or die;
    print $file pack 'N*', map { int rand 2**32 } 1 .. ($size{$name} + 3) / 4;
    close $file;
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
done_testing();
